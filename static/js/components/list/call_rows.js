// The visible rows of the list, and the headings of their days.

import { count, plural } from "../../format/number.js";
import { dayName } from "../../format/time.js";
import { mark } from "../../live/latency.js";
import { callHref } from "../../route.js";
import { html, useEffect, useKeys, useLatest, useLayoutEffect, useApp, useMemo, useRef, useState, useObservable } from "../../ui.js";
import { CallRow, isNew } from "./call_row.js";
import { dayBreaks, RowPositions } from "./row_positions.js";

const OVERSCAN = 8; // rows rendered above and below the visible ones
const PRELOAD = 40; // the next page is requested this many rows before the end
const TOP_PX = 4; // the list counts as scrolled to the top up to here
const MAX_GLOWING = 6; // with more new rows none of them stands out, and the animations take much CPU time
const IDLE_MS = 1_500; // after the last movement of the pointer the user is not about to click

export function CallRows({ openId, filter, nowMs, isBusy }) {
  const { feed } = useApp();
  const calls = useObservable(feed.calls);
  const scroller = useRef(null);
  const [cursorId, setCursor] = useState(openId);
  const { order } = calls;
  const [heights, setHeights] = useState({ rowPx: 44, dayPx: 28 }); // until the style sheet has been asked
  const breaks = useMemo(() => dayBreaks(order, calls.rows), [order]);
  const positions = useMemo(() => new RowPositions({ count: order.length, breaks, ...heights }), [breaks, heights]);
  const hasHits = useMemo(() => filter.search !== undefined && order.some((callId) => calls.rows.get(callId).hits?.length > 0), [order, filter.search]);
  const { first, last } = useWindow({ feed, scroller, positions, setHeights, hasHits });
  useHold(feed, scroller, openId);
  useRowKeys({ feed, scroller, openId, filter, cursorId, setCursor, positions, ...heights });
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

  return html`<div class="list-scroll" ref=${scroller} data-hits=${hasHits ? "" : null} aria-busy=${isBusy ? "true" : null}>
    <${NewCalls} feed=${feed} scroller=${scroller} />
    <${Columns} />
    <div class="list-body">
      ${positions.headings(Math.max(0, first), end).map(
        ({ startTime, top }) => html`<div class="day" key=${top} aria-hidden="true" style=${{ transform: `translateY(${top}px)` }}>
          ${dayName(startTime, nowMs)}
        </div>`,
      )}
      <ul
        class="rows"
        role="list"
        aria-label="Calls, newest first"
        style=${{ height: `${positions.height}px` }}
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
            top=${positions.top(index)}
            place=${index + 1}
            total=${calls.totalIsExact ? (calls.total ?? -1) : -1}
          />`;
        })}
      </ul>
    </div>
    <${More} feed=${feed} isComplete=${calls.isComplete} />
  </div>`;
}

// For the eye: the rows are links, not a table, and each says what its parts are.
function Columns() {
  return html`<div class="list-columns" aria-hidden="true">
    <span></span><span>Contact</span><span>Summary</span><span>Agent</span><span></span><span>Length</span><span>Time</span>
  </div>`;
}

// The range of visible rows. Renders again only if it changes, not with every pixel.
function useWindow({ feed, scroller, positions, setHeights, hasHits }) {
  const [range, setRange] = useState({ first: 0, last: 30 });
  const read = useLatest(() => {
    const { scrollTop, clientHeight } = scroller.current;
    feed.scrollTop = scrollTop;
    const first = positions.indexAt(scrollTop) - OVERSCAN;
    const last = positions.indexAt(scrollTop + clientHeight) + 1 + OVERSCAN;
    setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
  });
  const measure = () => {
    const style = getComputedStyle(scroller.current);
    const [rowPx, dayPx] = ["--row", "--day"].map((name) => inPixels(style.getPropertyValue(name)));
    setHeights((old) => (old.rowPx === rowPx && old.dayPx === dayPx ? old : { rowPx, dayPx }));
  };
  useLayoutEffect(measure, [hasHits]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (feed.scrollTop > 0) element.scrollTop = feed.scrollTop;
    const scrolled = () => read.current();
    const resized = () => {
      measure();
      read.current();
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    const sizes = new ResizeObserver(resized);
    sizes.observe(element);
    return () => {
      element.removeEventListener("scroll", scrolled);
      sizes.disconnect();
    };
  }, [feed]);
  useLayoutEffect(() => read.current(), [positions]);
  return range;
}

const inPixels = (rem) => Number.parseFloat(rem) * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

// New calls wait while the list is scrolled or paused, while a call is open, or while the user is about to click in it.
function useHold(feed, scroller, openId) {
  useEffect(() => {
    const element = scroller.current;
    const watching = new AbortController();
    let activeTimer = null;
    const update = () => {
      feed.setReading(openId !== null || element.scrollTop > TOP_PX || activeTimer !== null);
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
    update();
    return () => {
      watching.abort();
      clearTimeout(activeTimer);
      feed.setReading(false);
    };
  }, [feed, openId === null]);
}

// `j` and `k` anywhere, arrow keys in the list: they focus the next row, or open the next call if one is open.
function useRowKeys({ feed, scroller, openId, filter, cursorId, setCursor, positions, rowPx, dayPx }) {
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
    const [top, element] = [positions.top(order.indexOf(callId)), scroller.current];
    if (top - dayPx < element.scrollTop) element.scrollTop = top - dayPx;
    else if (top + rowPx + dayPx > element.scrollTop + element.clientHeight) element.scrollTop = top + rowPx + dayPx - element.clientHeight;
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
  if (waitingCount === 0 || !feed.isHeld) return null;
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
