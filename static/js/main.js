// The composition root of the dashboard: every part is made here, and handed to those that need it.

import { createApi } from "./api.js";
import { App } from "./components/app.js";
import { Desk } from "./desk.js";
import { ServerClock } from "./live/server_clock.js";
import { Notices } from "./notices.js";
import { PageTitle } from "./page_title.js";
import { Session } from "./session.js";
import { chime, notify } from "./signals.js";
import { html, render } from "./ui.js";

const hubUrl = `${location.origin.replace(/^http/, "ws")}/ws`;

const clock = new ServerClock();
const api = createApi({
  onSessionOver: () => session.over(),
  onAnswer: (...readings) => clock.answered(...readings),
});
const session = new Session(api);
const openDesk = () =>
  new Desk({
    api,
    hubUrl,
    onSessionOver: () => session.over(),
    onStranger: () => location.reload(), // nothing of the other organization may stay on the screen
  });

const parts = { session, api, openDesk, clock, title: new PageTitle(), notices: new Notices({ chime, notify }) };
render(html`<${App} parts=${parts} />`, document.getElementById("app"));
session.check();
