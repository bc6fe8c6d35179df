// Whether a call that has just arrived belongs to a view that is searched: only its spoken words can tell, so it is
// fetched and judged by the rules of the search. A few at a time; what cannot be kept up with is given up, and said so.

import { isFound, queryOf } from "./query.js";

const AT_ONCE = 2;
const MAX_QUEUED = 200;

export class Screening {
  #fetchCall;
  #queue = [];
  #busy = 0;

  /** @param {(callId: string) => Promise<object>} fetchCall gets a whole call */
  constructor(fetchCall) {
    this.#fetchCall = fetchCall;
  }

  /** @returns {Promise<boolean>} rejects when the call cannot be had or too many wait. */
  isFound(callId, search) {
    if (this.#queue.length >= MAX_QUEUED) return Promise.reject(new Error("too many calls to look into"));
    return new Promise((resolve, reject) => {
      this.#queue.push({ callId, search, resolve, reject });
      this.#next();
    });
  }

  async #next() {
    if (this.#busy >= AT_ONCE || this.#queue.length === 0) return;
    const { callId, search, resolve, reject } = this.#queue.shift();
    this.#busy += 1;
    try {
      resolve(holds(await this.#fetchCall(callId), queryOf(search)));
    } catch (error) {
      reject(error);
    } finally {
      this.#busy -= 1;
      this.#next();
    }
  }
}

function holds(call, query) {
  const spoken = (call.transcription ?? []).map(({ message }) => message);
  return isFound(query, [call.contactName, call.agentName, call.summary, ...spoken], [call.from, call.to]);
}
