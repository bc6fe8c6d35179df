// The visible rows of the list. All rows have the same height, so a row's position follows from its index and nothing
// needs to be measured.

import { count, plural } from "../../format/number.js";
import { mark } from "../../live/latency.js";
import { callHref } from "../../route.js";
import { html, useEffect, useKeys, useLatest, useLayoutEffect, useApp, useRef, useState, useObservable } from "../../ui.js";
import { CallRow, isNew } from "./call_row.js";

const ROW_REM = 4;
const OVERSCAN = 8; // rows rendered above and below the visible ones
const PRELOAD = 40; // the next page is requested this many rows before the end
const TOP_PX = 4; // the list counts as scrolled to the top up to here
const MAX_GLOWING = 6; // with more new rows none of them stands out, and the animations take much CPU time
const IDLE_MS = 1_500; // after the last movement of the pointer the user is not about to click

const rowHeight = () => ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

export function CallRows({ openId, filter, nowMs, isBusy }) {
  const { feed } = useApp();
  const calls = useObservable(feed.calls);
  const scroller = useRef(null);
  const [cursorId, setCursor] = useState(openId);
  const { first, last, height } = useWindow(feed, scroller);
  useHold(feed, scroller, openId);
  const { order } = calls;
  useRowKeys({ feed, scroller, openId, filter, cursorId, setCursor, height });
  useEffect(() => mark("tether:list-painted", { rows: order.length }), []);

  const end = Math.min(order.length, last);
  useEffect(() => {
    const isNeeded = feed.scrollTop > 0 || end >= order.length; // not for a list that stays at the top
    if (isNeeded && end >= order.length - PRELOAD) feed.loadMore();
  });

  const cursorAt = cursorId === null ? -1 : order.indexOf(cursorId);
  const shown = [];
  for (let index = Math.max(0, first); index < end; index += 1) shown.push(index);
  // The focused row stays rendered wherever the list is scrolled, so that the keyboard continues from there.
  if (cursorAt >= 0 && (cursorAt < first || cursorAt >= end)) shown[cursorAt < first ? "unshift" : "push"](cursorAt);
  const mayGlow = shown.filter((index) => isNew(calls.rows.get(order[index]))).length <= MAX_GLOWING;
  const tabStop = cursorAt >= 0 ? cursorId : order[0];

  return html`<div class="list-scroll" ref=${scroller} aria-busy=${isBusy ? "true" : null}>
    <${NewCalls} feed=${feed} scroller=${scroller} />
    <ul
      class="rows"
      role="list"
      aria-label="Calls, newest first"
      style=${{ height: `${order.length * height}px` }}
      onFocusIn=${({ target }) => setCursor(target.closest("[data-call-id]")?.dataset.callId ?? null)}
    >
      ${shown.map((index) => {
        const callId = order[index];
        return html`<${CallRow}
          key=${callId}
          row=${calls.rows.get(callId)}
          filter=${filter}
          nowMs=${nowMs}
          isOpen=${callId === openId}
          isTabStop=${callId === tabStop}
          mayGlow=${mayGlow}
          top=${index * height}
          place=${index + 1}
          total=${calls.totalIsExact ? (calls.total ?? -1) : -1}
        />`;
      })}
    </ul>
    <${More} feed=${feed} isComplete=${calls.isComplete} />
  </div>`;
}

// The range of visible rows. Renders again only if it changes, not with every pixel.
function useWindow(feed, scroller) {
  const [height] = useState(rowHeight);
  const [range, setRange] = useState({ first: 0, last: 30 });
  useLayoutEffect(() => {
    const element = scroller.current;
    const read = () => {
      feed.scrollTop = element.scrollTop;
      const first = Math.floor(element.scrollTop / height) - OVERSCAN;
      const last = Math.ceil((element.scrollTop + element.clientHeight) / height) + OVERSCAN;
      setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
    };
    if (feed.scrollTop > 0) element.scrollTop = feed.scrollTop;
    read();
    element.addEventListener("scroll", read, { passive: true });
    const sizes = new ResizeObserver(read);
    sizes.observe(element);
    return () => {
      element.removeEventListener("scroll", read);
      sizes.disconnect();
    };
  }, [feed]);
  return { ...range, height };
}

// New calls wait while the list is scrolled or paused, while a call is open, or while the user is about to click in it.
function useHold(feed, scroller, openId) {
  useEffect(() => {
    const element = scroller.current;
    const watching = new AbortController();
    let activeTimer = null;
    const update = () => {
      const isFree = !feed.isPaused && openId === null && element.scrollTop <= TOP_PX && activeTimer === null;
      if (isFree) feed.release();
      else feed.calls.hold();
    };
    const touch = ({ movementX, movementY }) => {
      if (movementX === 0 && movementY === 0) return; // the row moved, not the pointer
      clearTimeout(activeTimer);
      activeTimer = setTimeout(() => {
        activeTimer = null;
        update();
      }, IDLE_MS);
      update();
    };
    const on = (name, run) => element.addEventListener(name, run, { passive: true, signal: watching.signal });
    on("scroll", update);
    for (const name of ["pointermove", "pointerdown", "keydown"]) on(name, touch);
    const stop = feed.subscribe(update);
    update();
    return () => {
      watching.abort();
      clearTimeout(activeTimer);
      stop();
      feed.calls.release();
    };
  }, [feed, openId === null]);
}

// `j` and `k` anywhere, arrow keys in the list: they focus the next row, or open the next call if one is open.
function useRowKeys({ feed, scroller, openId, filter, cursorId, setCursor, height }) {
  const focusId = useRef(null);
  useLayoutEffect(() => {
    if (focusId.current === null) return;
    const link = scroller.current.querySelector(`[data-call-id="${CSS.escape(focusId.current)}"] .row-link`);
    focusId.current = null;
    link?.focus({ preventScroll: true });
  });

  const go = useLatest((index) => {
    const { order } = feed.calls;
    const callId = order[Math.max(0, Math.min(order.length - 1, index))];
    if (callId === undefined) return;
    const [top, element] = [order.indexOf(callId) * height, scroller.current];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight) element.scrollTop = top + height - element.clientHeight;
    setCursor(callId);
    if (openId) location.replace(callHref(callId, filter));
    else focusId.current = callId;
  });
  const here = () => feed.calls.order.indexOf(openId ?? cursorId);
  const inList = () => scroller.current.contains(document.activeElement);
  const step = (by) => () => go.current(here() < 0 ? 0 : here() + by);
  const inListOnly = (run) => () => (inList() ? run() : false);
  useKeys({
    j: step(1),
    k: step(-1),
    ArrowDown: inListOnly(step(1)),
    ArrowUp: inListOnly(step(-1)),
    Home: inListOnly(() => go.current(0)),
    End: inListOnly(() => go.current(feed.calls.order.length - 1)),
  });
}

function NewCalls({ feed, scroller }) {
  const { waitingCount, hasOverflowed } = feed.calls;
  if (waitingCount === 0) return null;
  const show = () => {
    scroller.current.scrollTop = 0;
    feed.release();
  };
  return html`<div class="new-calls">
    <button class="button new-calls-button" type="button" onClick=${show}>
      ${hasOverflowed ? `${count(waitingCount)}+ new calls` : plural(waitingCount, "new call")}
    </button>
  </div>`;
}

function More({ feed, isComplete }) {
  const { more, error } = feed.loading;
  if (isComplete) return null;
  if (more !== "failed") return html`<p class="list-more muted" role="status">Loading older calls…</p>`;
  return html`<div class="list-more">
    <p class="muted" role="alert">${error.message}</p>
    <button class="button" type="button" onClick=${() => feed.loadMore()}>Try again</button>
  </div>`;
}
