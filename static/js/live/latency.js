// Measures the time from commit to screen of calls that arrive live, and leaves performance marks for benchmarks, of calls
// that wait before they are listed, too.

/**
 * @param {import("../state/call_feed.js").CallFeed} feed
 * @param {import("./server_clock.js").ServerClock} clock
 * @returns {() => void} stops
 */
export function measureLatency(feed, clock, { window = globalThis } = {}) {
  let waiting = [];
  return feed.listen(({ event, at, data }) => {
    // Missed events were late before they arrived, and a hidden page is not painted.
    if (event !== "call_initiated" || feed.live.status !== "live" || window.document.hidden) return;
    waiting.push({ atMs: Date.parse(at), receivedAtMs: Date.now(), callId: data.callId });
    if (waiting.length > 1) return;
    window.requestAnimationFrame(() =>
      // The list renders in this frame. The first task after the frame runs when it has been painted.
      window.setTimeout(() => {
        const shownAtMs = Date.now();
        for (const { atMs, receivedAtMs, callId } of waiting) {
          if (!feed.calls.isWaiting(callId)) clock.addEvent(atMs, receivedAtMs, shownAtMs);
        }
        mark("tether:calls-painted", waiting, window);
        waiting = [];
      }),
    );
  });
}

/** Sets a performance mark and removes the earlier one of that name, so that marks do not accumulate. */
export function mark(name, detail, window = globalThis) {
  window.performance.clearMarks(name);
  window.performance.mark(name, { detail });
}
