// Decides whether a call that has just arrived matches a search. Only its transcript can tell, so the call is fetched, a
// few at a time.

import { matchesSearch } from "./query.js";

const MAX_ACTIVE = 2;
const MAX_QUEUED = 200;

export class CallMatcher {
  #fetchCall;
  #queue = [];
  #active = 0;

  /** @param {(callId: string) => Promise<object>} fetchCall fetches a call with its transcript */
  constructor(fetchCall) {
    this.#fetchCall = fetchCall;
  }

  /** @returns {Promise<boolean>} rejects if the call cannot be fetched, or if too many are waiting */
  matches(callId, search) {
    if (this.#queue.length >= MAX_QUEUED) return Promise.reject(new Error("too many calls are waiting to be matched"));
    return new Promise((resolve, reject) => {
      this.#queue.push({ callId, search, resolve, reject });
      this.#next();
    });
  }

  async #next() {
    if (this.#active >= MAX_ACTIVE || this.#queue.length === 0) return;
    const { callId, search, resolve, reject } = this.#queue.shift();
    this.#active += 1;
    try {
      resolve(callMatches(await this.#fetchCall(callId), search));
    } catch (error) {
      reject(error);
    } finally {
      this.#active -= 1;
      this.#next();
    }
  }
}

function callMatches(call, search) {
  const spoken = (call.transcription ?? []).map(({ message }) => message);
  // As the server does: the words of a SIP address are searched, and a withheld number is found by that word.
  const addresses = [call.from ?? "withheld", call.to];
  const isNumber = (address) => address?.startsWith("+");
  const texts = [call.contactName, call.agentName, call.summary, ...addresses.filter((address) => !isNumber(address)), ...spoken];
  return matchesSearch(search, texts, addresses.filter(isNumber));
}
