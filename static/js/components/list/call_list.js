import { withStylesheets } from "../../browser/stylesheets.js";
import { listHref } from "../../route.js";
import { isEmptyFilter } from "../../search/filter.js";
import { html, useApp, useAsync, useNow, useObservable } from "../../ui.js";
import { CallRows } from "./call_rows.js";
import { FilterBar } from "./filter_bar.js";
import { Toolbar } from "./toolbar.js";

const CLOCK_MS = 15_000;
const WHY_NOTHING = {
  nothing_to_search: "Type a letter or a digit: other characters are not searched.",
  only_exclusions: "A minus leaves calls out. Type what to look for beside it.",
};

/** The list of calls with its search, filters and toolbar. */
export function CallList({ openId, filter }) {
  const { feed } = useApp();
  useObservable(feed);
  const calls = useObservable(feed.calls);
  const nowMs = useNow(CLOCK_MS);
  const { first, error } = feed.loading;
  const isEmpty = calls.order.length === 0 && calls.waitingCount === 0;

  return html`<section class="list" aria-label="Calls">
    <div class="list-head" role="search">
      <${FilterBar} filter=${filter} openId=${openId} />
      <${Toolbar} filter=${filter} />
    </div>
    ${feed.notices.filter(({ code }) => !WHY_NOTHING[code]).map(({ code, message }) => html`<p key=${code} class="list-notice muted small" role="status">${message}</p>`)}
    ${first === "failed" && html`<${Failed} error=${error} reload=${() => feed.reload()} />`}
    ${
      isEmpty
        ? html`<div class="list-nothing">
            ${first === "loading" && html`<${Skeleton} />`} ${first === "ready" && html`<${Empty} filter=${filter} notices=${feed.notices} />`}
          </div>`
        : html`<${CallRows} openId=${openId} filter=${filter} nowMs=${nowMs} isBusy=${first === "loading"} />`
    }
  </section>`;
}

function Skeleton() {
  return html`<div class="skeleton" role="status" aria-label="Loading calls">
    ${Array.from({ length: 8 }, () => html`<div class="skeleton-row"></div>`)}
  </div>`;
}

function Failed({ error, reload }) {
  return html`<div class="notice" role="alert">
    <p>${error.message} ${error.status === 400 ? "" : "Retrying…"}</p>
    <button class="button" type="button" onClick=${reload}>Retry now</button>
  </div>`;
}

const loadFirstCall = withStylesheets(["developer"], () => import("./first_call.js"));

function NoCalls() {
  const { session } = useApp();
  const maySend = session.user?.accessRole !== "viewer";
  const { value } = useAsync(() => (maySend ? loadFirstCall() : Promise.resolve(null)), [maySend]);
  return html`<div class="empty">
    <p class="empty-title">No calls yet</p>
    <p class="muted">New calls appear here automatically.</p>
    ${value && html`<${value.FirstCall} />`}
  </div>`;
}

function Empty({ filter, notices }) {
  if (isEmptyFilter(filter)) return html`<${NoCalls} />`;
  const nothing = notices.find(({ code }) => WHY_NOTHING[code]);
  if (nothing) {
    return html`<div class="empty">
      <p class="empty-title">Nothing to search for</p>
      <p class="muted">${WHY_NOTHING[nothing.code]}</p>
      <a class="button" href=${listHref()}>Show all calls</a>
    </div>`;
  }
  return html`<div class="empty">
    <p class="empty-title">No matching calls</p>
    <p class="muted">
      ${filter.search ? "Try fewer words, or just the beginning of a word." : "New calls that match your filters appear here automatically."}
    </p>
    <a class="button" href=${listHref()}>Show all calls</a>
  </div>`;
}
