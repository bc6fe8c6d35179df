import { html, useEffect, useLatest, useNow, useRef, useWatched } from "../ui.js";
import { CallRow } from "./call_row.js";

const CLOCK_MS = 15_000;
const AHEAD = "800px"; // the next page is asked for this far before the end is reached
const number = new Intl.NumberFormat("en");

export function CallList({ desk, openId }) {
  useWatched(desk);
  const calls = useWatched(desk.calls);
  const nowMs = useNow(CLOCK_MS);
  const { first, error } = desk.loading;

  const { order } = calls;
  if (order.length === 0) {
    return html`<section class="list" aria-label="Calls">
      ${first === "loading" && html`<${Skeleton} />`}
      ${first === "failed" && html`<${Failed} error=${error} again=${() => desk.reload()} />`}
      ${first === "ready" && html`<${Empty} />`}
    </section>`;
  }
  return html`<section class="list" aria-label="Calls">
    <p class="list-count">${number.format(calls.total ?? order.length)} ${calls.total === 1 ? "call" : "calls"}</p>
    ${first === "failed" && html`<${Failed} error=${error} again=${() => desk.reload()} />`}
    <ul class="rows" role="list" onKeyDown=${moveFocus}>
      ${order.map(
        (callId) => html`<${CallRow} key=${callId} row=${calls.rows.get(callId)} nowMs=${nowMs} isOpen=${callId === openId} />`,
      )}
    </ul>
    <${More} desk=${desk} isComplete=${calls.isComplete} />
  </section>`;
}

function More({ desk, isComplete }) {
  const { more, error } = desk.loading;
  const button = useRef(null);
  const load = useLatest(() => desk.loadMore());
  useEffect(() => {
    if (!button.current || more !== "ready") return undefined;
    const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && load.current(), {
      root: button.current.closest(".list"),
      rootMargin: AHEAD,
    });
    watcher.observe(button.current);
    return () => watcher.disconnect();
  }, [more, isComplete]);

  if (isComplete) return null;
  return html`<div class="list-more">
    ${more === "failed" && html`<p class="muted" role="alert">${error.message}</p>`}
    <button ref=${button} class="button" type="button" onClick=${load.current} disabled=${more === "loading"}>
      ${more === "loading" ? "Loading…" : more === "failed" ? "Try again" : "Show older calls"}
    </button>
  </div>`;
}

// Arrow keys go from row to row, so that Tab need not pass every call to leave the list.
function moveFocus(event) {
  const links = [...event.currentTarget.querySelectorAll(".row-link")];
  const here = links.indexOf(document.activeElement);
  const there = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
  if (here < 0 || there === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  links[there]?.focus();
}

function Skeleton() {
  return html`<div class="skeleton" role="status" aria-label="Loading calls">
    ${Array.from({ length: 8 }, () => html`<div class="skeleton-row"></div>`)}
  </div>`;
}

function Failed({ error, again }) {
  return html`<div class="notice" role="alert">
    <p>${error.message} Trying again…</p>
    <button class="button" type="button" onClick=${again}>Try now</button>
  </div>`;
}

function Empty() {
  return html`<div class="empty">
    <p class="empty-title">No calls yet</p>
    <p class="muted">A call shows here the moment it is posted; there is no need to reload.</p>
  </div>`;
}
