// The calls of the list. Events and pages of history may come in any order and overlap: everything is merged by call id,
// so that no call is listed twice and none is lost. No I/O.
//
// The calls that arrived while the page was open come first, newest arrival first, whenever they started. Below them is the
// history in the server's order, latest start first; a historic call that arrives goes there at once. While the list is held,
// arrivals wait, so that no row moves; so do those of a busy minute, until the list is released.

import { warningsShown } from "../format/call.js";
import { instant } from "../format/time.js";
import { Observable } from "../observable.js";

const MAX_ROWS = 12_000; // above this a list that is not scrolled drops its oldest rows; scrolling loads them again
const KEPT_ROWS = 8_000;
const SUMMARY_CHARS = 1_000; // more than the two lines that a row shows
const NO_RECORDINGS = [];
const MAX_WAITING = 5_000; // above this waiting calls are not kept: the list is reloaded
const CALM_ARRIVALS = 10; // a minute with more is busy
const MINUTE_MS = 60_000;

/**
 * @typedef {object} Row a call as in the history, as far as it is known; replaced, never modified
 * @property {string} callId
 * @property {string} startTime
 * @property {string} [statedStart] the start that its source stated, where it lay in the future
 * @property {number} [shownAtMs] when it came into the list after its event had arrived; absent if it is historic or came with the history
 */

export class CallStore extends Observable {
  /** @type {Map<string, Row>} listed and waiting calls */
  rows = new Map();
  /** How many calls match the filter on the server; a lower bound unless `totalIsExact`; null until the first page is here. */
  total = null;
  totalIsExact = true;
  isComplete = false;
  isHeld = false;

  #match;
  #onSearch;
  #limits;
  #arrived = []; // ids, newest first
  #waiting = []; // ids, newest first, while the list is held
  #waitingHistoric = []; // ids, while the list is held
  #history = []; // ids, in the server's order
  #order = null; // arrived and history together, until either changes
  #undecided = new Map(); // id → row, of calls whose later events or transcript will decide whether they match
  #frontier = null; // the last row of the last page: older history is not loaded
  #arrivalsMs = []; // when the last calls arrived, at most CALM_ARRIVALS
  #arrivedSinceRequest = null; // ids, while a first page is loading, because the page may be older than they are

  /**
   * @param {object} options
   *   match(row)      as `matchFilter` in search/filter.js
   *   onSearch(row)   only the transcript can decide: call `resolveSearch` with the result
   */
  constructor({ match = () => "match", onSearch = () => {}, schedule, maxRows = MAX_ROWS, keptRows = KEPT_ROWS } = {}) {
    super(schedule);
    this.#match = match;
    this.#onSearch = onSearch;
    this.#limits = { maxRows, keptRows };
  }

  /** Call ids in the order of the list. */
  get order() {
    this.#order ??= [...this.#arrived, ...this.#history];
    return this.#order;
  }

  /** How many calls wait until the list is released, without historic ones. */
  get waitingCount() {
    return this.#waiting.length;
  }

  get hasWaiting() {
    return this.#waiting.length + this.#waitingHistoric.length > 0;
  }

  isWaiting(callId) {
    return this.#waiting.includes(callId) || this.#waitingHistoric.includes(callId);
  }

  /** Too many calls wait, so some were not kept: the list must be reloaded. */
  get hasOverflowed() {
    return this.#waiting.length + this.#waitingHistoric.length >= MAX_WAITING;
  }

  /** The id of the call after which the next page begins; null for the first page. */
  get pageCursor() {
    return this.#frontier?.callId ?? null;
  }

  /** Applies one event. Idempotent. */
  apply({ event, data }, nowMs) {
    const { callId, contactId, contactName } = data;
    // A call may bring the first name of its contact, or a person gives one: it is that of all the contact's calls.
    if (typeof contactName === "string") this.rename(contactId, contactName);
    if (event === "call_deleted") this.#erase((row) => row.callId === callId);
    if (event === "contact_deleted") this.#erase((row) => row.contactId === contactId);
    if (event === "calls_expired") this.#erase((row) => instant(row.startTime) < instant(data.before));
    const change = CHANGES.get(event)?.(data);
    if (!change || typeof callId !== "string") return;
    const known = this.rows.get(callId);
    if (known) {
      this.rows.set(callId, { ...known, ...change });
      if (change.startTime !== undefined && change.startTime !== known.startTime) this.#place(callId);
      this.changed();
      return;
    }
    const undecided = this.#undecided.get(callId);
    if (undecided) this.#decide({ ...undecided, ...change }, nowMs);
    else if (event === "call_initiated") {
      this.#decide({ recordings: [], ...change, callId, shownAtMs: change.isHistoric ? undefined : nowMs }, nowMs);
    }
    // Otherwise the call does not match, or is older than what is loaded: its page will include the change.
  }

  /** The result of `onSearch`: the sentences that were searched for, null if the call does not match. */
  resolveSearch(callId, hits, nowMs) {
    const row = this.#undecided.get(callId);
    this.#undecided.delete(callId);
    if (row && hits && !this.rows.has(callId)) this.#insert({ ...row, hits, isSearched: undefined }, nowMs);
  }

  #decide(row, nowMs) {
    if (row.isSearched) {
      this.#undecided.set(row.callId, row);
      return;
    }
    const result = this.#match(row);
    if (result === "match") {
      this.#undecided.delete(row.callId);
      this.#insert(row, nowMs);
    } else if (result === "no-match") {
      this.#undecided.delete(row.callId);
    } else {
      const isSearched = result === "search";
      this.#undecided.set(row.callId, isSearched ? { ...row, isSearched } : row);
      if (isSearched) this.#onSearch(row);
    }
  }

  #insert(row, nowMs) {
    const { callId } = row;
    const mustWait = this.#isBusy(nowMs) || this.isHeld || this.hasWaiting;
    this.#arrivedSinceRequest?.add(callId);
    if (this.total !== null) this.total += 1;
    if (mustWait && this.hasOverflowed) return this.changed();
    this.rows.set(callId, row);
    if (mustWait) (row.isHistoric ? this.#waitingHistoric : this.#waiting).unshift(callId);
    else if (row.isHistoric) this.#enter(callId);
    else {
      this.#arrived.unshift(callId);
      this.#order = null;
    }
    if (!mustWait) this.#boundRows();
    return this.changed();
  }

  // True if this arrival is one of more than CALM_ARRIVALS within a minute.
  #isBusy(nowMs) {
    this.#arrivalsMs.push(nowMs);
    return this.#arrivalsMs.length > CALM_ARRIVALS && nowMs - this.#arrivalsMs.shift() < MINUTE_MS;
  }

  /** Makes calls that arrive wait. */
  hold() {
    this.isHeld = true;
  }

  /** Puts the waiting calls at the top of the list. */
  release(nowMs) {
    this.isHeld = false;
    if (!this.hasWaiting) return;
    for (const callId of this.#waiting) this.rows.set(callId, { ...this.rows.get(callId), shownAtMs: nowMs });
    this.#arrived = [...this.#waiting, ...this.#arrived];
    for (const callId of this.#waitingHistoric) this.#enter(callId);
    this.#waiting = [];
    this.#waitingHistoric = [];
    this.#order = null;
    this.#boundRows();
    this.changed();
  }

  // Puts a historic call among the history, or drops it: the page that it belongs to will include it.
  #enter(callId) {
    const row = this.rows.get(callId);
    const isLoaded = this.isComplete || (this.#frontier !== null && isBefore(row, this.#frontier));
    if (!isLoaded) {
      this.rows.delete(callId);
      return;
    }
    this.#history.push(callId);
    this.#place(callId);
  }

  // Moves a call of the history to where the server has it.
  #place(callId) {
    this.#order = null;
    const from = this.#history.indexOf(callId);
    if (from < 0) return;
    this.#history.splice(from, 1);
    if (callId === this.#frontier?.callId) this.#frontier = this.rows.get(this.#history[from - 1]) ?? null;
    const row = this.rows.get(callId);
    let [low, high] = [0, this.#history.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.rows.get(this.#history[middle]), row)) low = middle + 1;
      else high = middle;
    }
    this.#history.splice(low, 0, callId);
  }

  /** To be called before a first page is requested. */
  expectFirstPage() {
    this.#arrivedSinceRequest = new Set();
  }

  /** To be called when the filter changes. The listed calls stay until the first page of the new filter is here. */
  expectFilterChange() {
    this.#undecided.clear();
    this.expectFirstPage();
  }

  /**
   * Replaces the list by a first page and the calls that arrived since it was requested.
   *
   * @param {object[]} calls
   * @param {{total: number, totalIsExact?: boolean, isLast?: boolean}} page `isLast`: there are no older calls
   */
  replace(calls, page) {
    const isKept = (callId) => this.#arrivedSinceRequest?.has(callId);
    const onPage = new Set(calls.map(({ callId }) => callId));
    const historic = this.#history.filter((callId) => isKept(callId) && !onPage.has(callId)).map((callId) => this.rows.get(callId));
    this.#arrived = this.#arrived.filter(isKept);
    this.#waiting = this.#waiting.filter(isKept);
    this.#waitingHistoric = this.#waitingHistoric.filter((callId) => isKept(callId) && !onPage.has(callId));
    const kept = [...this.#waiting, ...this.#waitingHistoric, ...this.#arrived];
    this.rows = new Map(kept.map((callId) => [callId, this.rows.get(callId)]));
    this.#arrivedSinceRequest = null;
    this.#history = [];
    this.#frontier = null;
    this.total = page.total + historic.length + kept.filter((callId) => !onPage.has(callId)).length;
    this.#merge(calls, page);
    for (const row of historic) {
      this.rows.set(row.callId, row);
      this.#enter(row.callId);
    }
  }

  /** Appends the next page. An empty page ends the history. */
  append(calls, page) {
    this.#merge(calls, page);
    this.total = this.isComplete ? this.rows.size : Math.max(this.total ?? 0, this.rows.size);
  }

  /** Takes over what no event says of a call: its warnings, and whether its recording is on its way. */
  learn(call) {
    const { callId, recordingStatus } = call;
    const known = this.rows.get(callId);
    const hasWarnings = warningsShown(call).length > 0;
    if (!known || (known.recordingStatus === recordingStatus && known.hasWarnings === hasWarnings)) return;
    this.rows.set(callId, { ...known, recordingStatus, hasWarnings });
    this.changed();
  }

  // Forgets the rows that were erased.
  #erase(isErased) {
    for (const rows of [this.rows, this.#undecided]) {
      for (const [callId, row] of rows) {
        if (!isErased(row)) continue;
        rows.delete(callId);
        if (rows === this.rows && this.total > 0) this.total -= 1;
        this.#arrivedSinceRequest?.delete(callId);
      }
    }
    const isKept = (callId) => this.rows.has(callId);
    this.#arrived = this.#arrived.filter(isKept);
    this.#waiting = this.#waiting.filter(isKept);
    this.#waitingHistoric = this.#waitingHistoric.filter(isKept);
    this.#history = this.#history.filter(isKept);
    if (this.#frontier && !isKept(this.#frontier.callId)) this.#frontier = this.rows.get(this.#history.at(-1)) ?? null;
    this.#order = null;
    this.changed();
  }

  /** Changes a contact's name in all rows. */
  rename(contactId, contactName) {
    for (const rows of [this.rows, this.#undecided]) {
      for (const [callId, row] of rows) {
        if (row.contactId !== contactId || row.contactName === contactName) continue;
        rows.set(callId, { ...row, contactName });
        this.changed();
      }
    }
  }

  #merge(calls, { totalIsExact = true, isLast = false }) {
    for (const call of calls) {
      const known = this.rows.get(call.callId);
      this.rows.set(call.callId, { ...known, ...toRow(call) });
      if (!known) this.#history.push(call.callId);
      this.#undecided.delete(call.callId);
    }
    this.#frontier = calls.at(-1) ?? this.#frontier;
    this.totalIsExact = totalIsExact;
    this.isComplete = isLast || calls.length === 0;
    this.#order = null;
    this.changed();
  }

  #boundRows() {
    if (this.rows.size > this.#limits.maxRows) this.#dropOldest();
  }

  // Bounds the memory of a page that is left open. The frontier moves up to where every newer row, in the server's order,
  // is still known, so that the next page includes the dropped rows.
  #dropOldest() {
    const { order } = this;
    const dropped = order.slice(this.#limits.keptRows).map((callId) => this.rows.get(callId));
    const newest = dropped.reduce((found, row) => (isBefore(row, found) ? row : found));
    for (const { callId } of dropped) this.rows.delete(callId);
    this.#arrived = this.#arrived.slice(0, this.#limits.keptRows);
    this.#history = this.#history.slice(0, Math.max(0, this.#limits.keptRows - this.#arrived.length));
    this.#order = null;
    const above = [...this.rows.values()].filter((row) => isBefore(row, newest));
    this.#frontier = above.length === 0 ? null : above.reduce((last, row) => (isBefore(last, row) ? row : last));
    this.isComplete = false;
  }
}

// Keeps only the fields that the list shows, to save memory. A summary may be megabytes long.
function toRow(call) {
  const { callId, contactId, contactName, direction, from, to, agentName, startTime, status, duration } = call;
  const { summary, recordings, recordingStatus, hits, callStartTime: statedStart } = call;
  const [recording] = recordings ?? [];
  return {
    ...{ callId, contactId, contactName, direction, from, to, agentName, startTime, status, duration, recordingStatus, hits, statedStart },
    hasWarnings: warningsShown(call).length > 0,
    summary: summary?.length > SUMMARY_CHARS ? `${summary.slice(0, SUMMARY_CHARS)}…` : summary,
    recordings: recording ? [{ recordingId: recording.recordingId, duration: recording.duration }] : NO_RECORDINGS,
  };
}

// The fields that each event sets. `fetch_messages` describes a conversation, which the list does not show.
const CHANGES = new Map([
  [
    "call_initiated",
    ({ contactId, conversationId, contactName, direction, from, to, agentName, startTime, callStartTime, historic }) => {
      const row = { contactId, conversationId, contactName, direction, from, to, agentName, startTime };
      return { ...row, statedStart: callStartTime, isHistoric: historic === true };
    },
  ],
  ["call_ended", ({ status, duration, endTime, summary }) => ({ status, duration, endTime, summary })],
  [
    "call_updated",
    ({ status, duration, endTime, summary, agentName, contactName, startTime, callStartTime }) => {
      return { status, duration, endTime, summary, agentName, contactName, startTime, statedStart: callStartTime };
    },
  ],
  [
    "call_recording_ready",
    ({ recordingId, duration, contentType }) => ({
      recordings: [{ recordingId, duration, contentType }],
      recordingStatus: "stored",
    }),
  ],
  ["recording_failed", () => ({ recordingStatus: "failed" })],
]);

// The server's order: latest start first, then higher id.
function isBefore(row, other) {
  const [mine, theirs] = [instant(row.startTime), instant(other.startTime)];
  return mine === theirs ? row.callId > other.callId : mine > theirs;
}
