// How long to wait before connecting again. Pure.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Doubles per failure up to 15 s; the upper half is random, so that the dashboards of a server that has just
 * restarted do not come back in one wave.
 *
 * @param {number} failures consecutive connections that brought nothing, 0 for none
 * @param {() => number} random in [0, 1)
 */
export function backoffMs(failures, random) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  return longest / 2 + (random() * longest) / 2;
}

/** Wait after an orderly goodbye (1001, 4408): hardly any, only enough that a thousand dashboards spread out. */
export function resumeMs(random) {
  return random() * FIRST_MS;
}
