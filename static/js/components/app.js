import { parseRoute } from "../route.js";
import { html, useEffect, useMemo, useRef, useRoute, useState, useWatched } from "../ui.js";
import { CallList } from "./call_list.js";
import { CallView } from "./call_view.js";
import { Connection } from "./connection.js";
import { SignIn } from "./sign_in.js";

/** @param {{session, api, openDesk: () => import("../desk.js").Desk}} props */
export function App({ session, api, openDesk }) {
  useWatched(session);
  switch (session.phase) {
    case "in":
      return html`<${SignedIn} session=${session} api=${api} openDesk=${openDesk} />`;
    case "out":
      return html`<${SignIn} session=${session} />`;
    case "unreachable":
      return html`<main class="sign-in">
        <p class="notice" role="alert">The server cannot be reached. Trying again…</p>
      </main>`;
    default:
      return null;
  }
}

function SignedIn({ session, api, openDesk }) {
  const route = useRoute(parseRoute);
  const desk = useMemo(openDesk, []);
  useEffect(() => {
    desk.start();
    return () => desk.stop();
  }, [desk]);
  useFocusReturn(route);

  const openId = route.name === "call" ? route.callId : null;
  return html`<div class="desk" data-open=${openId ? "call" : "list"}>
    <header class="bar">
      <h1 class="brand">tether</h1>
      <${Connection} live=${desk.live} />
      <${Account} session=${session} />
    </header>
    <main class="panes">
      <${CallList} desk=${desk} openId=${openId} />
      ${openId && html`<${CallView} key=${openId} desk=${desk} api=${api} callId=${openId} />`}
    </main>
  </div>`;
}

function Account({ session }) {
  const [error, setError] = useState(null);
  const { user } = session;
  const signOut = () => session.signOut().catch((failure) => setError(failure.message));
  return html`<div class="account">
    ${error && html`<span class="account-error" role="alert">${error}</span>`}
    <bdi class="account-name" title=${user?.email}>${user?.fullName ?? user?.email}</bdi>
    <button class="button button-quiet" type="button" onClick=${signOut}>Sign out</button>
  </div>`;
}

// A reader who closes a call goes on in the list where the call was opened, not at the top of the page.
function useFocusReturn(route) {
  const last = useRef(null);
  useEffect(() => {
    if (route.name === "call") last.current = route.callId;
    else if (last.current) {
      document.querySelector(`[data-call-id="${CSS.escape(last.current)}"] .row-link`)?.focus();
    }
  }, [route]);
}
