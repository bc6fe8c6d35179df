// The composition root of the dashboard: every part is made here, and handed to those that need it.

import { App } from "./components/app.js";
import { Desk } from "./state/call_feed.js";
import { api, takeFirstPage, tell } from "./prefetch.js";
import { ServerClock } from "./live/server_clock.js";
import { Notices } from "./state/alerts.js";
import { PageTitle } from "./browser/page_title.js";
import { Session } from "./state/session.js";
import { chime, notify } from "./browser/notifications.js";
import { html, render } from "./ui.js";

const hubUrl = `${location.origin.replace(/^http/, "ws")}/ws`;

const clock = new ServerClock();
const session = new Session(api);
tell({ sessionOver: () => session.over(), answer: (...readings) => clock.answered(...readings) });
const openDesk = () =>
  new Desk({
    api,
    hubUrl,
    firstPage: takeFirstPage(),
    onSessionOver: () => session.over(),
    onStranger: () => location.reload(), // nothing of the other organization may stay on the screen
  });

const parts = { session, api, openDesk, clock, title: new PageTitle(), notices: new Notices({ chime, notify }) };
session.check(); // before anything is drawn: who was signed in before gets the list at once
render(html`<${App} parts=${parts} />`, document.getElementById("app"));
