import { withStylesheets } from "../browser/stylesheets.js";
import { measureLatency } from "../live/latency.js";
import { parseRoute } from "../route.js";
import { AppContext, html, useApp, useAsync, useEffect, useLayoutEffect, useMemo, useObservable, useRef, useRoute, useState } from "../ui.js";
import { Announcer } from "./announcer.js";
import { CallList } from "./list/call_list.js";
import { Loading } from "./loading.js";
import { Page } from "./page.js";
import { Shortcuts } from "./shortcuts.js";
import { SignIn } from "./sign_in.js";
import { TopBar } from "./top_bar.js";

/** @param {{context: object}} props see `AppContext` */
export function App({ context }) {
  const { phase } = useObservable(context.session);
  return html`<${AppContext.Provider} value=${context}>
    ${phase === "signed-in" && html`<${SignedIn} />`}
    ${phase === "signed-out" && html`<${SignIn} session=${context.session} />`}
    ${
      phase === "unreachable" &&
      html`<main class="sign-in">
        <p class="notice" role="alert">Can't reach the server. Retrying…</p>
      </main>`
    }
  <//>`;
}

function SignedIn() {
  const context = useApp();
  const route = useRoute(parseRoute);
  const feed = useMemo(context.openFeed, []);
  const withFeed = useMemo(() => ({ ...context, feed }), [context, feed]);
  // Before the list is rendered, so that its first page is requested with the filter in the address.
  const hasList = route.name === "list" || route.name === "call";
  useMemo(() => hasList && feed.setFilter(route.filter), [feed, route]);
  useLayoutEffect(() => {
    const stops = [measureLatency(feed, context.clock), context.alerts.watch(feed), feed.listen(countArrivals(feed, context.title))];
    feed.start();
    return () => {
      for (const stop of stops) stop();
      feed.stop();
    };
  }, [feed]);
  useFocusReturn(route);

  const openId = route.name === "call" ? route.id : null;
  return html`<${AppContext.Provider} value=${withFeed}>
    <div class="app" data-open=${hasList ? (openId ? "call" : "list") : "page"}>
      <a class="skip" href="#main" onClick=${skipToMain}>Skip to content</a>
      <${TopBar} route=${route} />
      <main class="panes" id="main" tabindex="-1">
        ${
          hasList
            ? html`<${CallList} openId=${openId} filter=${route.filter} />
                <${OpenCall} route=${route} callId=${openId} />`
            : html`<${Page} key=${route.name} route=${route} />`
        }
      </main>
      <${Announcer} />
      <${Shortcuts} />
    </div>
  <//>`;
}

const QUIET_MS = 2_000;

// The call view is loaded some time after the list, which so is complete sooner; with the address of a call it is loaded at once.
const loadCallView = withStylesheets(["player", "call", "transcript", "tree"], () => import("./call/call_view.js"));

function OpenCall({ route, callId }) {
  const { feed } = useApp();
  const isReady = useObservable(feed).loading.first === "ready";
  const [isQuiet, setQuiet] = useState(false);
  useEffect(() => {
    if (!isReady) return undefined;
    const timer = setTimeout(() => setQuiet(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, [isReady]);
  const isNeeded = callId !== null || isQuiet;
  const { value, error, reload } = useAsync(() => (isNeeded ? loadCallView() : Promise.resolve(null)), [isNeeded]);
  if (callId === null) return null;
  if (value) return html`<${value.CallView} key=${callId} callId=${callId} filter=${route.filter} startS=${route.atS} />`;
  return html`<article class="call" aria-label="Call">
    ${
      error
        ? html`<div class="notice" role="alert">
            <p>Couldn't load this call. Check your connection.</p>
            <button class="button" type="button" onClick=${reload}>Try again</button>
          </div>`
        : html`<${Loading} />`
    }
  </article>`;
}

// The address bar holds the route, so a normal jump to #main would leave the page.
function skipToMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

const countArrivals =
  (feed, title) =>
  ({ event, data }) => {
    const row = event === "call_ended" ? feed.calls.rows.get(data.callId) : undefined;
    if (row && !row.isHistoric) title.count();
  };

// Closing a call returns the focus to its row in the list.
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
