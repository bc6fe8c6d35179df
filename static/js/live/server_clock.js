// How far the server's clock is ahead of this page's, and how long events take. Pure: every reading comes as an argument.
//
// A Date header is cut to whole seconds, so one answer only says that the difference lies in an interval. The intervals of
// many answers overlap in an ever smaller one. An event cannot be seen before it was committed: that is a bound, too.

const WHOLE_SECOND_MS = 1000;
const KEPT = 100;

export class ServerClock {
  #least = -Infinity; // server − page, in milliseconds, lies between these two
  #most = Infinity;
  #delays = []; // ms from commit to screen, the latest last

  /** An answer whose Date header says `dateMs` was asked for at `askedMs` and was here at `heardMs`. */
  answered(dateMs, askedMs, heardMs) {
    if (![dateMs, askedMs, heardMs].every(Number.isFinite)) return;
    this.#narrow(dateMs - heardMs, dateMs + WHOLE_SECOND_MS - askedMs);
  }

  /** An event that was committed at `atMs` (server) was on the screen at `shownMs` (page), having come in at `heardMs`. */
  shown(atMs, heardMs, shownMs) {
    if (![atMs, heardMs, shownMs].every(Number.isFinite)) return;
    this.#narrow(atMs - heardMs, Infinity);
    this.#delays.push(shownMs - atMs);
    if (this.#delays.length > KEPT) this.#delays.shift();
  }

  /** The machine slept or somebody set a clock: what was learned may be wrong. */
  forget() {
    [this.#least, this.#most, this.#delays] = [-Infinity, Infinity, []];
  }

  /** @returns {{latestMs: number, medianMs: number, count: number, exactToMs: number} | null} null before the first event. */
  get latency() {
    if (this.#delays.length === 0 || !Number.isFinite(this.#least + this.#most)) return null;
    const aheadMs = this.#aheadMs;
    const delays = this.#delays.map((delay) => Math.max(0, delay + aheadMs));
    const sorted = [...delays].sort((a, b) => a - b);
    return {
      latestMs: delays.at(-1),
      medianMs: sorted[Math.floor(sorted.length / 2)],
      count: delays.length,
      exactToMs: (this.#most - this.#least) / 2,
    };
  }

  // Nearly every clock is set by NTP: no difference is the likeliest one where it is possible at all.
  get #aheadMs() {
    if (this.#least <= 0 && this.#most >= 0) return 0;
    return (this.#least + this.#most) / 2;
  }

  #narrow(least, most) {
    const [low, high] = [Math.max(this.#least, least), Math.min(this.#most, most)];
    // Nothing fits all readings any more: a clock was set. The newest reading is the one to believe.
    [this.#least, this.#most] = low <= high ? [low, high] : [least, most];
  }
}
