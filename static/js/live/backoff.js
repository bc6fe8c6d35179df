// Delays before reconnecting. Pure.

const FIRST_MS = 500;
const MAX_MS = 15_000;

/**
 * Doubles with each failure up to 15 s. The upper half is random, so that dashboards do not all return at once after a
 * restart of the server.
 *
 * @param {number} failures consecutive failed connections
 * @param {() => number} random in [0, 1)
 */
export function backoffMs(failures, random) {
  const limitMs = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  return limitMs / 2 + (random() * limitMs) / 2;
}

/** The delay after an orderly close (1001, 4403, 4408): just enough to spread out a thousand dashboards. */
export function resumeMs(random) {
  return random() * FIRST_MS;
}
