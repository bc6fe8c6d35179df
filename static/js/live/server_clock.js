// Estimates the difference between the server's clock and this page's, and how long events take. Pure: times are arguments.
//
// A `Date` header has whole seconds, so one response only bounds the difference by an interval. The intervals of many
// responses overlap in a smaller one. An event cannot be shown before it was committed, which is another bound.

const WHOLE_SECOND_MS = 1000;
const MAX_DELAYS = 100;

export class ServerClock {
  #minMs = -Infinity; // server time − page time lies between these two
  #maxMs = Infinity;
  #delaysMs = []; // from commit to screen, newest last

  /** A response with the `Date` header `dateMs` to a request sent at `sentAtMs`, received at `receivedAtMs`. */
  addResponse(dateMs, sentAtMs, receivedAtMs) {
    if (![dateMs, sentAtMs, receivedAtMs].every(Number.isFinite)) return;
    this.#narrow(dateMs - receivedAtMs, dateMs + WHOLE_SECOND_MS - sentAtMs);
  }

  /** An event committed at `atMs` (server time), received at `receivedAtMs` and shown at `shownAtMs` (page time). */
  addEvent(atMs, receivedAtMs, shownAtMs) {
    if (![atMs, receivedAtMs, shownAtMs].every(Number.isFinite)) return;
    this.#narrow(atMs - receivedAtMs, Infinity);
    this.#delaysMs.push(shownAtMs - atMs);
    if (this.#delaysMs.length > MAX_DELAYS) this.#delaysMs.shift();
  }

  /** @returns {{latestMs: number, medianMs: number, count: number, errorMs: number} | null} null before the first event */
  get latency() {
    if (this.#delaysMs.length === 0 || !Number.isFinite(this.#minMs + this.#maxMs)) return null;
    const offsetMs = this.#offsetMs;
    const delaysMs = this.#delaysMs.map((delayMs) => Math.max(0, delayMs + offsetMs));
    const sorted = [...delaysMs].sort((a, b) => a - b);
    return {
      latestMs: delaysMs.at(-1),
      medianMs: sorted[Math.floor(sorted.length / 2)],
      count: delaysMs.length,
      errorMs: (this.#maxMs - this.#minMs) / 2,
    };
  }

  // Nearly every clock is synchronized, so 0 is the most likely difference if it is possible.
  get #offsetMs() {
    if (this.#minMs <= 0 && this.#maxMs >= 0) return 0;
    return (this.#minMs + this.#maxMs) / 2;
  }

  #narrow(minMs, maxMs) {
    const [low, high] = [Math.max(this.#minMs, minMs), Math.min(this.#maxMs, maxMs)];
    // If the intervals do not overlap, a clock was set: only the newest one counts.
    [this.#minMs, this.#maxMs] = low <= high ? [low, high] : [minMs, maxMs];
  }
}
