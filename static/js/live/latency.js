// From commit to screen: when each call that arrives live was painted. Leaves a performance mark for whoever measures.

/**
 * @param {import("../state/call_feed.js").Desk} desk
 * @param {import("./server_clock.js").ServerClock} clock
 * @returns {() => void} stops
 */
export function measureLatency(desk, clock, { window = globalThis } = {}) {
  let waiting = [];
  return desk.listen(({ event, at, data }) => {
    // What is caught up on was late before it came here, and a hidden page is not painted.
    if (event !== "call_initiated" || desk.live.status !== "live" || window.document.hidden) return;
    waiting.push({ atMs: Date.parse(at), heardMs: Date.now(), callId: data.callId });
    if (waiting.length > 1) return;
    window.requestAnimationFrame(() =>
      // The list renders in this frame; the first task after it runs when the frame is painted.
      window.setTimeout(() => {
        const shownMs = Date.now();
        for (const { atMs, heardMs } of waiting) clock.shown(atMs, heardMs, shownMs);
        mark("tether:calls-painted", waiting, window);
        waiting = [];
      }),
    );
  });
}

/** One mark of a name at a time: an observer sees each, and the page does not keep them. */
export function mark(name, detail, window = globalThis) {
  window.performance.clearMarks(name);
  window.performance.mark(name, { detail });
}
