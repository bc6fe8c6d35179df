// The calls that this page knows. Events and pages of history may come in any order and overlap: everything is merged
// by call id, so no call is there twice and none is lost. No I/O.
//
// On top stand the calls that arrived while the page was open, the latest first, whenever they began: what is new is
// where the reader looks, and nothing below moves. Under them stands the history in the server's order, latest start first.

import { instant } from "./format.js";
import { Observable } from "./observable.js";

/**
 * @typedef {object} Row a call as in the history, as far as it is known; never changed, only replaced
 * @property {string} callId
 * @property {string} startTime
 * @property {number} [arrivedAtMs] when its event came to this page; absent when it came with the history
 */

export class CallStore extends Observable {
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** How many calls the server has; null until it has said. */
  total = null;

  #arrived = []; // ids, the latest first
  #listed = []; // ids, in the server's order
  #frontier = null; // the last row of the last page: the history is known down to here
  #arrivedSinceRequest = null; // ids; while a first page is awaited, because its answer may be older than they are

  /** Call ids as they stand in the list. */
  get order() {
    return [...this.#arrived, ...this.#listed];
  }

  get isComplete() {
    return this.total !== null && this.rows.size >= this.total;
  }

  /** How many calls the server would list before the next page: all that are known down to the frontier. */
  get nextOffset() {
    const isListed = (callId) => this.#frontier !== null && !isBefore(this.#frontier, this.rows.get(callId));
    return this.#listed.length + this.#arrived.filter(isListed).length;
  }

  /** Applies one event of the feed. Applying it again changes nothing. */
  apply({ event, data }, nowMs) {
    const { callId } = data;
    const change = CHANGES.get(event)?.(data);
    if (!change || typeof callId !== "string") return;
    const known = this.rows.get(callId);
    if (known) {
      this.rows.set(callId, { ...known, ...change });
    } else if (event === "call_initiated") {
      this.rows.set(callId, { recordings: [], ...change, callId, arrivedAtMs: nowMs });
      this.#arrived.unshift(callId);
      this.#arrivedSinceRequest?.add(callId);
      if (this.total !== null) this.total += 1;
    } else {
      return; // a call that is further down than what is loaded: its page will bring all of it
    }
    this.changed();
  }

  /** Say so before a first page is requested. */
  expectFirstPage() {
    this.#arrivedSinceRequest = new Set();
  }

  /** The first page is here: it, and what arrived since it was requested, is now all that is known. */
  replace(calls, total) {
    const isKept = (callId) => this.#arrivedSinceRequest?.has(callId);
    this.#arrived = this.#arrived.filter(isKept);
    this.rows = new Map(this.#arrived.map((callId) => [callId, this.rows.get(callId)]));
    this.#arrivedSinceRequest = null;
    this.#listed = [];
    this.#frontier = null;
    this.total = total + this.#arrived.filter((callId) => !calls.some((call) => call.callId === callId)).length;
    this.#merge(calls);
    this.changed();
  }

  /** A further page is here; an empty one means that there is nothing more. */
  extend(calls, total) {
    this.#merge(calls);
    this.total = calls.length === 0 ? this.rows.size : Math.max(total, this.rows.size);
    this.changed();
  }

  #merge(calls) {
    for (const call of calls) {
      const known = this.rows.get(call.callId);
      this.rows.set(call.callId, { ...known, ...call });
      if (!known) this.#listed.push(call.callId);
    }
    this.#frontier = calls.at(-1) ?? this.#frontier;
  }
}

// What each event says about its call. `fetch_messages` is about a conversation, which this page does not show yet.
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
