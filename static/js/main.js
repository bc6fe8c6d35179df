// The composition root of the dashboard: builds every part and hands it to those that need it.

import { playSound, showNotification } from "./browser/notifications.js";
import { PageTitle } from "./browser/page_title.js";
import { serverAddress } from "./browser/server_address.js";
import { theme } from "./browser/theme.js";
import { App } from "./components/app.js";
import { ServerClock } from "./live/server_clock.js";
import { api, setListeners, takeFirstPage } from "./prefetch.js";
import { Alerts } from "./state/alerts.js";
import { CallFeed } from "./state/call_feed.js";
import { Session } from "./state/session.js";
import { html, render } from "./ui.js";

const hubUrl = `${serverAddress().replace(/^http/, "ws")}/ws`;

const clock = new ServerClock();
const session = new Session(api);
setListeners({
  onSessionExpired: () => session.expire(),
  onResponse: (...times) => clock.addResponse(...times),
});
const openFeed = () =>
  new CallFeed({
    api,
    hubUrl,
    firstPage: takeFirstPage(),
    onSessionExpired: () => session.expire(),
    onRoleChange: () => session.check(),
    onOrganizationChange: () => location.reload(), // nothing of the other organization may stay on the screen
  });

const context = { session, api, openFeed, clock, title: new PageTitle(), theme, alerts: new Alerts({ playSound, showNotification }) };
session.check(); // before the first render, so that a returning user sees the list at once
render(html`<${App} context=${context} />`, document.getElementById("app"));
