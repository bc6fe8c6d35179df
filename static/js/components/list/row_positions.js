// Where the rows of the list are, in pixels. All rows have the same height, and all headings of a day, so nothing needs to be
// measured. Pure.

import { instant } from "../../format/time.js";

/**
 * Finds the rows above which a heading names their day, in the user's time zone.
 *
 * @param {string[]} order call ids @param {Map<string, {startTime: string}>} rows
 * @returns {{index: number, startTime: string}[]} in their order
 */
export function dayBreaks(order, rows) {
  const breaks = [];
  let [from, to] = [0, 0]; // the day of the row before
  order.forEach((callId, index) => {
    const { startTime } = rows.get(callId);
    const ms = instant(startTime);
    if ((ms >= from && ms < to) || Number.isNaN(ms)) return;
    const day = new Date(ms);
    [from, to] = [0, 1].map((offset) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + offset).getTime());
    breaks.push({ index, startTime });
  });
  return breaks;
}

export class RowPositions {
  #count;
  #rowPx;
  #dayPx;
  #breaks;

  /** @param {{count: number, rowPx: number, dayPx: number, breaks: {index: number}[]}} list */
  constructor({ count, rowPx, dayPx, breaks }) {
    this.#count = count;
    this.#rowPx = rowPx;
    this.#dayPx = dayPx;
    this.#breaks = breaks;
  }

  /** The top of a row, below the heading that it may have; the height of the list for the row after the last. */
  top(index) {
    return index * this.#rowPx + this.#headingsUpTo(index) * this.#dayPx;
  }

  get height() {
    return this.top(this.#count);
  }

  /** The row at a height, or the one below it where there is none. */
  indexAt(px) {
    return lowest(this.#count, (index) => this.top(index) + this.#rowPx > px);
  }

  /** The headings of rows from `first` until before `end`, with their tops. */
  headings(first, end) {
    const from = lowest(this.#breaks.length, (at) => this.#breaks[at].index >= first);
    const to = lowest(this.#breaks.length, (at) => this.#breaks[at].index >= end);
    return this.#breaks.slice(from, to).map((day) => ({ ...day, top: this.top(day.index) - this.#dayPx }));
  }

  #headingsUpTo(index) {
    return lowest(this.#breaks.length, (at) => this.#breaks[at].index > index);
  }
}

// The lowest number from 0 for which `isFound` holds, given that it holds for all above it; `end` if for none.
function lowest(end, isFound) {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isFound(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
