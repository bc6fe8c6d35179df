// The rows of the list that can be seen, of however many there are. All have one height, so a row's place follows from
// its number, and nothing needs to be measured.

import { plural } from "../../format/time.js";
import { mark } from "../../live/latency.js";
import { callHref } from "../../route.js";
import { html, useEffect, useKeys, useLatest, useLayoutEffect, useParts, useRef, useState, useWatched } from "../../ui.js";
import { CallRow, isFresh } from "./call_row.js";

const ROW_REM = 4;
const BEYOND = 8; // rows that are there above and below what can be seen
const AHEAD = 40; // the next page is asked for this many rows before the end
const AT_TOP = 4; // pixels
const BURST = 6; // rows that glow at once: past it none of them stands out, and drawing them all takes a core its time
const STILL_MS = 1_500; // whoever moved in the list this long ago is not about to click

const rowHeight = () => ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

export function Rows({ openId, filter, nowMs, isBusy }) {
  const { desk } = useParts();
  const calls = useWatched(desk.calls);
  const scroller = useRef(null);
  const [cursorId, setCursor] = useState(openId);
  const { first, last, height } = useWindow(desk, scroller);
  useHolding(desk, scroller);
  const { order } = calls;
  useFocusMoves({ desk, scroller, openId, filter, cursorId, setCursor, height });
  useEffect(() => mark("tether:list-painted", { rows: order.length }), []);

  const end = Math.min(order.length, last);
  useEffect(() => {
    const isWanted = desk.scrollTop > 0 || end >= order.length; // not of who only looks at the newest
    if (isWanted && end >= order.length - AHEAD) desk.loadMore();
  });

  const cursorAt = cursorId === null ? -1 : order.indexOf(cursorId);
  const shown = [];
  for (let index = Math.max(0, first); index < end; index += 1) shown.push(index);
  // The row that has the focus stays, wherever the reader scrolls: the keyboard goes on from there.
  if (cursorAt >= 0 && (cursorAt < first || cursorAt >= end)) shown[cursorAt < first ? "unshift" : "push"](cursorAt);
  const mayGlow = shown.filter((index) => isFresh(calls.rows.get(order[index]))).length <= BURST;
  const tabStop = cursorAt >= 0 ? cursorId : order[0];

  return html`<div class="list-scroll" ref=${scroller} aria-busy=${isBusy ? "true" : null}>
    <${NewCalls} desk=${desk} scroller=${scroller} />
    <ul
      class="rows"
      role="list"
      aria-label="Calls, the newest first"
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
    <${More} desk=${desk} isComplete=${calls.isComplete} />
  </div>`;
}

// Which rows can be seen. Renders again only when that changes, not with every pixel.
function useWindow(desk, scroller) {
  const [height] = useState(rowHeight);
  const [range, setRange] = useState({ first: 0, last: 30 });
  useLayoutEffect(() => {
    const element = scroller.current;
    const read = () => {
      desk.scrollTop = element.scrollTop;
      const first = Math.floor(element.scrollTop / height) - BEYOND;
      const last = Math.ceil((element.scrollTop + element.clientHeight) / height) + BEYOND;
      setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
    };
    if (desk.scrollTop > 0) element.scrollTop = desk.scrollTop;
    read();
    element.addEventListener("scroll", read, { passive: true });
    const sizes = new ResizeObserver(read);
    sizes.observe(element);
    return () => {
      element.removeEventListener("scroll", read);
      sizes.disconnect();
    };
  }, [desk]);
  return { ...range, height };
}

// Arrivals wait while the list is scrolled or paused, or while somebody is about to click in it.
function useHolding(desk, scroller) {
  useEffect(() => {
    const element = scroller.current;
    const watching = new AbortController();
    let busyTimer = null;
    const judge = () => {
      const isFree = !desk.isPaused && element.scrollTop <= AT_TOP && busyTimer === null;
      if (isFree) desk.release();
      else desk.calls.hold();
    };
    const touch = ({ movementX, movementY }) => {
      if (movementX === 0 && movementY === 0) return; // the row came to the pointer, not the pointer to the row
      clearTimeout(busyTimer);
      busyTimer = setTimeout(() => {
        busyTimer = null;
        judge();
      }, STILL_MS);
      judge();
    };
    const on = (name, run) => element.addEventListener(name, run, { passive: true, signal: watching.signal });
    on("scroll", judge);
    for (const name of ["pointermove", "pointerdown", "keydown"]) on(name, touch);
    const stop = desk.subscribe(judge);
    judge();
    return () => {
      watching.abort();
      clearTimeout(busyTimer);
      stop();
      desk.calls.release();
    };
  }, [desk]);
}

// `j` and `k` anywhere, arrows in the list. With a call open, they open its neighbour.
function useFocusMoves({ desk, scroller, openId, filter, cursorId, setCursor, height }) {
  const wanted = useRef(null);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const link = scroller.current.querySelector(`[data-call-id="${CSS.escape(wanted.current)}"] .row-link`);
    wanted.current = null;
    link?.focus({ preventScroll: true });
  });

  const go = useLatest((index) => {
    const { order } = desk.calls;
    const callId = order[Math.max(0, Math.min(order.length - 1, index))];
    if (callId === undefined) return;
    const [top, element] = [order.indexOf(callId) * height, scroller.current];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight) element.scrollTop = top + height - element.clientHeight;
    setCursor(callId);
    if (openId) location.replace(callHref(callId, filter));
    else wanted.current = callId;
  });
  const here = () => desk.calls.order.indexOf(openId ?? cursorId);
  const inList = () => scroller.current.contains(document.activeElement);
  const step = (by) => () => go.current(here() < 0 ? 0 : here() + by);
  const inListOnly = (run) => () => (inList() ? run() : false);
  useKeys({
    j: step(1),
    k: step(-1),
    ArrowDown: inListOnly(step(1)),
    ArrowUp: inListOnly(step(-1)),
    Home: inListOnly(() => go.current(0)),
    End: inListOnly(() => go.current(desk.calls.order.length - 1)),
  });
}

function NewCalls({ desk, scroller }) {
  const { waitingCount, hasOverflown } = desk.calls;
  if (waitingCount === 0) return null;
  const show = () => {
    scroller.current.scrollTop = 0;
    desk.release();
  };
  return html`<div class="new-calls">
    <button class="button new-calls-button" type="button" onClick=${show}>
      ${hasOverflown ? `${plural(waitingCount, "call").replace(" ", "+ new ")}` : `${waitingCount} new`}
    </button>
  </div>`;
}

function More({ desk, isComplete }) {
  const { more, error } = desk.loading;
  if (isComplete) return null;
  if (more !== "failed") return html`<p class="list-more muted" role="status">Loading older calls…</p>`;
  return html`<div class="list-more">
    <p class="muted" role="alert">${error.message}</p>
    <button class="button" type="button" onClick=${() => desk.loadMore()}>Try again</button>
  </div>`;
}
