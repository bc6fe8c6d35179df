// The composition root of the dashboard: every part is made here, and handed to those that need it.

import { createApi } from "./api.js";
import { App } from "./components/app.js";
import { Desk } from "./desk.js";
import { Session } from "./session.js";
import { html, render } from "./ui.js";

const hubUrl = `${location.origin.replace(/^http/, "ws")}/ws`;

const api = createApi({ onSessionOver: () => session.over() });
const session = new Session(api);
const openDesk = () =>
  new Desk({
    api,
    hubUrl,
    onSessionOver: () => session.over(),
    onStranger: () => location.reload(), // nothing of the other organization may stay on the screen
  });

render(html`<${App} session=${session} api=${api} openDesk=${openDesk} />`, document.getElementById("app"));
session.check();
