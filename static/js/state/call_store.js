// The calls that this page lists. Events and pages of history may come in any order and overlap: everything is merged
// by call id, so no call is there twice and none is lost. No I/O.
//
// On top stand the calls that arrived while the page was open, the latest first, whenever they began: what is new is
// where the reader looks. Under them stands the history in the server's order, latest start first. While the list is
// held, arrivals wait beside it, so that nothing moves under the reader's eyes.

import { instant } from "../format/time.js";
import { Observable } from "../observable.js";

const MAX_ROWS = 12_000; // past it a list that nobody has scrolled forgets its oldest rows; scrolling loads them again
const KEPT_ROWS = 8_000;
const SUMMARY_CHARS = 1_000; // some more than the two lines that a row has for it
const NONE = [];
const MAX_WAITING = 5_000; // past it the page loads afresh instead of keeping what waits

/**
 * @typedef {object} Row a call as in the history, as far as it is known; never changed, only replaced
 * @property {string} callId
 * @property {string} startTime
 * @property {number} [arrivedAtMs] when its event came to this page; absent when it came with the history
 */

export class CallStore extends Observable {
  /** @type {Map<string, Row>} the rows of the list, and those that wait */
  rows = new Map();
  /** How many calls the server has for this view, or `totalIsExact` is false: at least; null until it has said. */
  total = null;
  totalIsExact = true;
  isComplete = false;
  isHeld = false;

  #judge;
  #onAsk;
  #limits;
  #arrived = []; // ids, the latest first
  #waiting = []; // ids, the latest first, while the list is held
  #listed = []; // ids, in the server's order
  #order = null; // of both, until one changes
  #undecided = new Map(); // id → row, of calls whose further events or words will tell whether they belong here
  #frontier = null; // the last row of the last page: the history is known down to here
  #arrivedSinceRequest = null; // ids; while a first page is awaited, because its answer may be older than they are

  /**
   * @param {object} options
   *   judge(row)   → "in" | "out" | "open" | "ask", as in filter.js
   *   onAsk(row)   only its words can tell: answer with `decide`
   */
  constructor({ judge = () => "in", onAsk = () => {}, schedule, maxRows = MAX_ROWS, keptRows = KEPT_ROWS } = {}) {
    super(schedule);
    this.#judge = judge;
    this.#onAsk = onAsk;
    this.#limits = { maxRows, keptRows };
  }

  /** Call ids as they stand in the list. */
  get order() {
    this.#order ??= [...this.#arrived, ...this.#listed];
    return this.#order;
  }

  /** How many calls wait for the list to be released. */
  get waitingCount() {
    return this.#waiting.length;
  }

  /** More waits than is kept: the list must be loaded afresh to be whole. */
  get hasOverflown() {
    return this.#waiting.length >= MAX_WAITING;
  }

  /** The call whose next page follows; null for the first page. */
  get frontierId() {
    return this.#frontier?.callId ?? null;
  }

  /** Applies one event of the feed. Applying it again changes nothing. */
  apply({ event, data }, nowMs) {
    const { callId } = data;
    const change = CHANGES.get(event)?.(data);
    if (!change || typeof callId !== "string") return;
    const known = this.rows.get(callId);
    if (known) {
      this.rows.set(callId, { ...known, ...change });
      this.changed();
      return;
    }
    const open = this.#undecided.get(callId);
    if (open) this.#consider({ ...open, ...change });
    else if (event === "call_initiated") this.#consider({ recordings: [], ...change, callId, arrivedAtMs: nowMs });
    // else: further down than what is loaded, or judged already; its page brings all of it
  }

  /** The answer to `onAsk`. */
  decide(callId, belongs) {
    const row = this.#undecided.get(callId);
    this.#undecided.delete(callId);
    if (row && belongs && !this.rows.has(callId)) this.#admit({ ...row, isAsked: undefined });
  }

  #consider(row) {
    if (row.isAsked) {
      this.#undecided.set(row.callId, row);
      return;
    }
    const verdict = this.#judge(row);
    if (verdict === "in") {
      this.#undecided.delete(row.callId);
      this.#admit(row);
    } else if (verdict === "out") {
      this.#undecided.delete(row.callId);
    } else {
      this.#undecided.set(row.callId, verdict === "ask" ? { ...row, isAsked: true } : row);
      if (verdict === "ask") this.#onAsk(row);
    }
  }

  #admit(row) {
    const { callId } = row;
    this.#arrivedSinceRequest?.add(callId);
    if (this.total !== null) this.total += 1;
    if (this.isHeld) {
      if (this.hasOverflown) return this.changed();
      this.#waiting.unshift(callId);
    } else {
      this.#arrived.unshift(callId);
      this.#order = null;
    }
    this.rows.set(callId, row);
    if (this.rows.size > this.#limits.maxRows && !this.isHeld) this.#forgetOldest();
    return this.changed();
  }

  /** Arrivals wait from now on. */
  hold() {
    this.isHeld = true;
  }

  /** The list goes on; what waited goes on top. */
  release() {
    this.isHeld = false;
    if (this.#waiting.length === 0) return;
    this.#arrived = [...this.#waiting, ...this.#arrived];
    this.#waiting = [];
    this.#order = null;
    this.changed();
  }

  /** Say so before a first page is requested. */
  expectFirstPage() {
    this.#arrivedSinceRequest = new Set();
  }

  /** Another view: nothing that is undecided was judged by it. What is shown stays until its first page is here. */
  expectOtherView() {
    this.#undecided.clear();
    this.expectFirstPage();
  }

  /**
   * The first page is here: it, and what arrived since it was requested, is now all that is known.
   *
   * @param {object[]} calls
   * @param {{total: number, totalIsExact?: boolean, isLast?: boolean}} page `isLast`: there is nothing after it
   */
  replace(calls, page) {
    const isKept = (callId) => this.#arrivedSinceRequest?.has(callId);
    this.#arrived = this.#arrived.filter(isKept);
    this.#waiting = this.#waiting.filter(isKept);
    this.rows = new Map([...this.#waiting, ...this.#arrived].map((callId) => [callId, this.rows.get(callId)]));
    this.#arrivedSinceRequest = null;
    this.#listed = [];
    this.#frontier = null;
    const onPage = new Set(calls.map(({ callId }) => callId));
    this.total = page.total + [...this.rows.keys()].filter((callId) => !onPage.has(callId)).length;
    this.#merge(calls, page);
  }

  /** A further page is here; an empty one means that there is nothing more. */
  extend(calls, page) {
    this.#merge(calls, page);
    this.total = this.isComplete ? this.rows.size : Math.max(this.total ?? 0, this.rows.size);
  }

  /** A contact has another name now. */
  rename(contactId, contactName) {
    for (const [callId, row] of this.rows) if (row.contactId === contactId) this.rows.set(callId, { ...row, contactName });
    this.changed();
  }

  #merge(calls, { totalIsExact = true, isLast = false }) {
    for (const call of calls) {
      const known = this.rows.get(call.callId);
      this.rows.set(call.callId, { ...known, ...listed(call) });
      if (!known) this.#listed.push(call.callId);
      this.#undecided.delete(call.callId);
    }
    this.#frontier = calls.at(-1) ?? this.#frontier;
    this.totalIsExact = totalIsExact;
    this.isComplete = isLast || calls.length === 0;
    this.#order = null;
    this.changed();
  }

  // A day of calls on a page that is only looked at must not fill the memory. The frontier goes up to where every row
  // above it, in the server's order, is still known, so that the next page brings back what was forgotten.
  #forgetOldest() {
    const { order } = this;
    const forgotten = order.slice(this.#limits.keptRows).map((callId) => this.rows.get(callId));
    const newest = forgotten.reduce((found, row) => (isBefore(row, found) ? row : found));
    for (const { callId } of forgotten) this.rows.delete(callId);
    this.#arrived = this.#arrived.slice(0, this.#limits.keptRows);
    this.#listed = this.#listed.slice(0, Math.max(0, this.#limits.keptRows - this.#arrived.length));
    this.#order = null;
    const above = [...this.rows.values()].filter((row) => isBefore(row, newest));
    this.#frontier = above.length === 0 ? null : above.reduce((last, row) => (isBefore(last, row) ? row : last));
    this.isComplete = false;
  }
}

// What a list needs of a call; the rest would be most of what a long list takes in memory. A summary may be megabytes.
function listed({ callId, contactId, contactName, direction, from, to, agentName, startTime, status, duration, summary, recordings }) {
  const [recording] = recordings ?? [];
  return {
    ...{ callId, contactId, contactName, direction, from, to, agentName, startTime, status, duration },
    summary: summary?.length > SUMMARY_CHARS ? `${summary.slice(0, SUMMARY_CHARS)}…` : summary,
    recordings: recording ? [{ recordingId: recording.recordingId, duration: recording.duration }] : NONE,
  };
}

// What each event says about its call. `fetch_messages` is about a conversation, which is no concern of a list.
const CHANGES = new Map([
  [
    "call_initiated",
    ({ contactId, conversationId, contactName, direction, from, to, agentName, startTime }) => {
      return { contactId, conversationId, contactName, direction, from, to, agentName, startTime };
    },
  ],
  ["call_ended", ({ status, duration, endTime, summary }) => ({ status, duration, endTime, summary })],
  [
    "call_recording_ready",
    ({ recordingId, duration, contentType }) => ({ recordings: [{ recordingId, duration, contentType }] }),
  ],
]);

// The server's order: the latest start first, then the higher id.
function isBefore(row, other) {
  const [mine, theirs] = [instant(row.startTime), instant(other.startTime)];
  return mine === theirs ? row.callId > other.callId : mine > theirs;
}
