import { parseRoute } from "../route.js";
import { measureLatency } from "../live/latency.js";
import { withStyles } from "../browser/stylesheets.js";
import { html, Parts, useEffect, useLayoutEffect, useLoaded, useMemo, useParts, useRef, useRoute, useWatched } from "../ui.js";
import { Announcer } from "./announcer.js";
import { Bar } from "./top_bar.js";
import { CallList } from "./list/call_list.js";
import { Help } from "./shortcuts.js";
import { Loading } from "./loading.js";
import { Page } from "./page.js";
import { SignIn } from "./sign_in.js";

/** @param {{parts: object}} props what main.js has made, see `Parts` */
export function App({ parts }) {
  const { phase } = useWatched(parts.session);
  return html`<${Parts.Provider} value=${parts}>
    ${phase === "in" && html`<${SignedIn} />`}
    ${phase === "out" && html`<${SignIn} session=${parts.session} />`}
    ${
      phase === "unreachable" &&
      html`<main class="sign-in">
        <p class="notice" role="alert">The server cannot be reached. Trying again…</p>
      </main>`
    }
  <//>`;
}

function SignedIn() {
  const parts = useParts();
  const route = useRoute(parseRoute);
  const desk = useMemo(parts.openDesk, []);
  const withDesk = useMemo(() => ({ ...parts, desk }), [parts, desk]);
  // Before the list is rendered, so that its first page is asked for with the filter of the address.
  const hasList = route.name === "list" || route.name === "call";
  useMemo(() => hasList && desk.setFilter(route.filter), [desk, route]);
  useLayoutEffect(() => {
    const stops = [measureLatency(desk, parts.clock), parts.notices.watch(desk), desk.listen(countArrivals(desk, parts.title))];
    desk.start();
    return () => {
      for (const stop of stops) stop();
      desk.stop();
    };
  }, [desk]);
  useFocusReturn(route);

  const openId = route.name === "call" ? route.id : null;
  return html`<${Parts.Provider} value=${withDesk}>
    <div class="desk" data-open=${hasList ? (openId ? "call" : "list") : "page"}>
      <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <${Bar} route=${route} />
      <main class="panes" id="main" tabindex="-1">
        ${
          hasList
            ? html`<${CallList} openId=${openId} filter=${route.filter} />
                <${OpenCall} route=${route} callId=${openId} />`
            : html`<${Page} key=${`${route.name} ${route.id}`} route=${route} />`
        }
      </main>
      <${Announcer} />
      <${Help} />
    </div>
  <//>`;
}

// What shows a call is loaded after the list, so that the list is there sooner; whoever comes with a link waits for it.
const loadCallView = withStyles(["player", "call"], () => import("./call/call_view.js"));

function OpenCall({ route, callId }) {
  const { desk } = useParts();
  const { first } = useWatched(desk).loading;
  const isWanted = callId !== null || first === "ready";
  const { value, error, again } = useLoaded(() => (isWanted ? loadCallView() : Promise.resolve(null)), [isWanted]);
  if (callId === null) return null;
  if (value) return html`<${value.CallView} key=${callId} callId=${callId} filter=${route.filter} atS=${route.atS} />`;
  return html`<article class="call" aria-label="Call">
    ${
      error
        ? html`<div class="notice" role="alert">
            <p>The call could not be loaded. Check the connection.</p>
            <button class="button" type="button" onClick=${again}>Try again</button>
          </div>`
        : html`<${Loading} />`
    }
  </article>`;
}

// The address bar holds the route, so a plain jump to #main would leave the page.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

const countArrivals =
  (desk, title) =>
  ({ event, data }) =>
    event === "call_ended" && desk.calls.rows.has(data.callId) && title.count();

// A reader who closes a call goes on in the list where the call was opened, not at the top of the page.
function useFocusReturn(route) {
  const last = useRef(null);
  useEffect(() => {
    if (route.name === "call") last.current = route.id;
    else if (route.name === "list" && last.current) {
      document.querySelector(`[data-call-id="${CSS.escape(last.current)}"] .row-link`)?.focus();
      last.current = null;
    }
  }, [route]);
}
