// The pauses between attempts: random, up to a limit that doubles with each failure.

import { GaveUp, Refused } from "./errors.js";

export class Backoff {
  failures = 0;
  #firstMs;
  #maxMs;
  #onRetry;

  /**
   * @param {number} firstMs limit of the first pause
   * @param {number} maxMs limit of every pause, but for one that the server asks for
   * @param {((error: unknown, pauseMs: number) => void)} [onRetry] called before each pause
   */
  constructor(firstMs, maxMs, onRetry) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#onRetry = onRetry;
  }

  /**
   * Waits until the next attempt is due. Throws what ends the attempts: the caller's abort, a refusal, the deadline.
   *
   * @param {any} error why the last attempt failed
   * @param {AbortSignal | undefined} signal
   * @param {number} endsAtMs on the clock of `performance.now`
   */
  async after(error, signal, endsAtMs = Infinity) {
    signal?.throwIfAborted();
    if (error instanceof Refused) throw error;
    const limitMs = Math.min(this.#maxMs, this.#firstMs * 2 ** this.failures);
    const pauseMs = (error.retryAfterMs ?? 0) + Math.random() * limitMs; // not all at the moment that the server named
    this.failures = Math.min(this.failures + 1, 10);
    if (performance.now() + pauseMs > endsAtMs) {
      throw new GaveUp(`The server did not take the call in time: ${error.message}`, { cause: error });
    }
    this.#onRetry?.(error, pauseMs);
    await sleep(pauseMs, signal);
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
