// Tells a connection when the world may have changed behind its back: sleep, network, a page out of the cache.

const HIDDEN_MS = 60_000;
const TICK_MS = 10_000;
const SLEPT_MS = 150_000; // hidden tabs get a timer a minute, so only a longer jump means that the machine slept

/** @returns {() => void} stops watching. */
export function watchForWaking(connection, { window = globalThis, now = () => Date.now() } = {}) {
  const { document } = window;
  const watching = new AbortController();
  const on = (target, name, run) => target.addEventListener(name, run, { signal: watching.signal });
  const renew = () => connection.renew();

  on(window, "online", renew);
  on(window, "offline", renew); // a dead network then shows at once, and a loopback server is not mistaken for one
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
