// The page of a link with which somebody chooses a password. Its token is a fragment of the address: it goes to no server's log.

import "./browser/theme.js";
import { createApi } from "./api.js";
import { Join } from "./components/join.js";
import { html, render } from "./ui.js";

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
render(html`<${Join} api=${createApi()} token=${token} />`, document.getElementById("app"));
