// The calls that this page knows, newest first. Events and pages of history may come in any order and overlap:
// everything is merged by call id, so the result is the same and no call is there twice. No I/O.

import { instant } from "./format.js";
import { Observable } from "./observable.js";

/**
 * @typedef {object} Row a call as in the history, as far as it is known; never changed, only replaced
 * @property {string} callId
 * @property {string} createdAt when the server stored it: the place in the list
 * @property {number} [arrivedAtMs] when its event came to this page; absent when it came with the history
 */

export class CallStore extends Observable {
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** @type {string[]} call ids, newest first */
  order = [];
  /** How many calls the server has; null until it has said. */
  total = null;

  // Calls that events brought since the load in flight began: its answer may be older than they are.
  #arrived = null;

  get isComplete() {
    return this.total !== null && this.order.length >= this.total;
  }

  clear() {
    this.rows.clear();
    this.order = [];
    this.total = null;
    this.#arrived = null;
    this.changed();
  }

  /** Applies one event of the feed. Applying it again changes nothing. */
  apply({ event, at, data }, nowMs) {
    const change = CHANGES[event]?.(data, at);
    if (!change || typeof data.callId !== "string") return;
    const known = this.rows.get(data.callId);
    if (known) {
      this.rows.set(data.callId, { ...known, ...change });
    } else if (event === "call_initiated") {
      this.#insert({ recordings: [], ...change, callId: data.callId, createdAt: at, arrivedAtMs: nowMs });
      if (this.total !== null) this.total += 1;
      this.#arrived?.add(data.callId);
    } else {
      return; // a call that is further down than what is loaded: its page will bring all of it
    }
    this.changed();
  }

  /** Call when a load of the first page begins, before the request is sent. */
  expectReplacement() {
    this.#arrived = new Set();
  }

  /** The first page is here: it and what arrived meanwhile is now all that is known. */
  replace(calls, total) {
    const kept = [...(this.#arrived ?? [])].map((callId) => this.rows.get(callId));
    this.#arrived = null;
    this.rows.clear();
    this.order = [];
    this.#merge(calls);
    const unlisted = kept.filter((row) => !this.rows.has(row.callId));
    for (const row of unlisted) this.#insert(row);
    this.total = total + unlisted.length;
    this.changed();
  }

  /** A further page is here. */
  extend(calls, total) {
    this.#merge(calls);
    this.total = Math.max(total, this.order.length);
    this.changed();
  }

  #merge(calls) {
    for (const call of calls) {
      const callId = call.callId ?? call._id;
      if (this.rows.has(callId)) this.rows.set(callId, { ...this.rows.get(callId), ...call, callId });
      else this.#insert({ recordings: [], ...call, callId });
    }
  }

  #insert(row) {
    this.rows.set(row.callId, row);
    let [low, high] = [0, this.order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isNewer(row, this.rows.get(this.order[middle]))) high = middle;
      else low = middle + 1;
    }
    this.order.splice(low, 0, row.callId);
  }
}

// What each event says about its call. `fetch_messages` is about a conversation, which this page does not show yet.
const CHANGES = {
  call_initiated: ({ contactId, conversationId, contactName, direction, from, to, agentName, startTime }) => ({
    ...{ contactId, conversationId, contactName, direction, from, to, agentName, startTime },
  }),
  call_ended: ({ status, duration, endTime, summary }) => ({ status, duration, endTime, summary }),
  call_recording_ready: ({ recordingId, duration, contentType }) => ({
    recordings: [{ recordingId, duration, contentType }],
  }),
};

function isNewer(row, other) {
  const [mine, theirs] = [instant(row.createdAt), instant(other.createdAt)];
  return mine === theirs ? row.callId > other.callId : mine > theirs;
}
