import { isEverything } from "../../search/filter.js";
import { listHref } from "../../route.js";
import { html, useNow, useParts, useWatched } from "../../ui.js";
import { FilterBar } from "./filter_bar.js";
import { ListTools } from "./toolbar.js";
import { Rows } from "./call_rows.js";

const CLOCK_MS = 15_000;

/** The calls of a view, and the means to choose it. */
export function CallList({ openId, filter }) {
  const { desk } = useParts();
  useWatched(desk);
  const calls = useWatched(desk.calls);
  const nowMs = useNow(CLOCK_MS);
  const { first, error } = desk.loading;
  const isEmpty = calls.order.length === 0 && calls.waitingCount === 0;

  return html`<section class="list" aria-label="Calls">
    <div class="list-head" role="search">
      <${FilterBar} filter=${filter} openId=${openId} />
      <${ListTools} filter=${filter} />
    </div>
    ${first === "failed" && html`<${Failed} error=${error} again=${() => desk.reload()} />`}
    ${
      isEmpty
        ? html`<div class="list-nothing">
            ${first === "loading" && html`<${Skeleton} />`} ${first === "ready" && html`<${Empty} filter=${filter} />`}
          </div>`
        : html`<${Rows} openId=${openId} filter=${filter} nowMs=${nowMs} isBusy=${first === "loading"} />`
    }
  </section>`;
}

function Skeleton() {
  return html`<div class="skeleton" role="status" aria-label="Loading calls">
    ${Array.from({ length: 8 }, () => html`<div class="skeleton-row"></div>`)}
  </div>`;
}

function Failed({ error, again }) {
  return html`<div class="notice" role="alert">
    <p>${error.message} ${error.status === 400 ? "" : "Trying again…"}</p>
    <button class="button" type="button" onClick=${again}>Try now</button>
  </div>`;
}

function Empty({ filter }) {
  if (isEverything(filter)) {
    return html`<div class="empty">
      <p class="empty-title">No calls yet</p>
      <p class="muted">A call shows here the moment it is posted; there is no need to reload.</p>
    </div>`;
  }
  return html`<div class="empty">
    <p class="empty-title">No such calls</p>
    <p class="muted">${filter.search ? "Every word must be in the call. Try fewer, or only the beginning of one." : "A call that fits shows here the moment it is posted."}</p>
    <a class="button" href=${listHref()}>Show all calls</a>
  </div>`;
}
