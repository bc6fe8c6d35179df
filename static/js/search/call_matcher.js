// Decides whether a call that has just arrived matches a search. Only its transcript can tell, so the call is fetched, a
// few at a time.

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

  /**
   * @returns {Promise<object[] | null>} the sentences that were searched for (`findIn`), null if the call does not match; rejects
   *     if the call cannot be fetched, or if too many are waiting
   */
  find(callId, search) {
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
      const [call, { findIn }] = await Promise.all([this.#fetchCall(callId), import("./live_match.js")]);
      resolve(findIn(call, search));
    } catch (error) {
      reject(error);
    } finally {
      this.#active -= 1;
      this.#next();
    }
  }
}
