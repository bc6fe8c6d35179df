// Renews a connection when the page may have lost it unnoticed: after sleep, a change of network, a return from the
// back/forward cache, or a long time hidden.

const HIDDEN_MS = 60_000;
const TICK_MS = 10_000;
const SLEPT_MS = 150_000; // timers of hidden tabs run once a minute, so only a longer pause means that the machine slept

/** @returns {() => void} stops */
export function renewOnPageLifecycle(connection, { window = globalThis, now = () => Date.now() } = {}) {
  const { document } = window;
  const watching = new AbortController();
  const on = (target, name, run) => target.addEventListener(name, run, { signal: watching.signal });
  const renew = () => connection.renew();

  on(window, "online", renew);
  on(window, "offline", renew); // shows a dead network at once; a server on this machine stays connected
  on(window, "pageshow", ({ persisted }) => persisted && renew());

  let hiddenAtMs = null;
  on(document, "visibilitychange", () => {
    const wasHiddenMs = hiddenAtMs === null ? 0 : now() - hiddenAtMs;
    hiddenAtMs = document.hidden ? now() : null;
    if (!document.hidden && wasHiddenMs > HIDDEN_MS) renew();
  });

  let tickedAtMs = now();
  const ticking = window.setInterval(() => {
    const sinceMs = now() - tickedAtMs;
    tickedAtMs = now();
    if (sinceMs > SLEPT_MS) renew();
  }, TICK_MS);
  watching.signal.addEventListener("abort", () => window.clearInterval(ticking));

  return () => watching.abort();
}
