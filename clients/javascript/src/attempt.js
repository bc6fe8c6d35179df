// One request to the server: what it answers, and how long it may take.

import { Refused, sentence, Unauthorized } from "./errors.js";

const MAY_PASS = new Set([408, 425, 429]);
const MAX_RETRY_AFTER_MS = 3_600_000;

/** The server is busy or away for a moment. */
export class Busy extends Error {
  /**
   * @param {string} message
   * @param {number} retryAfterMs
   */
  constructor(message, retryAfterMs) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Ends with its caller's signal, and when nothing comes for a time. */
export class Attempt {
  #controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #outer;
  #onAbort = () => this.#controller.abort(this.#outer?.reason);

  /** @param {AbortSignal} [outer] the caller's signal */
  constructor(outer) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#onAbort);
    if (outer?.aborted) this.#onAbort();
  }

  /**
   * Asks the server and returns an answer of the kind 2xx.
   *
   * @param {string} url
   * @param {RequestInit} init
   * @returns {Promise<Response>} rejects with `Refused`, `Busy`, or what `fetch` rejects with
   */
  async ask(url, init) {
    const { signal } = this.#controller;
    // A redirect would turn POST into GET. The bearer token is the only credential.
    const response = await fetch(url, { ...init, signal, redirect: "manual", credentials: "omit", cache: "no-store" });
    if (response.ok) return response;
    const { status } = response;
    const body = await response.json().catch(() => null); // whoever is in between answers with a page
    if (MAY_PASS.has(status) || status >= 500) throw new Busy(sentence(status, body), retryAfterMs(response.headers));
    throw new (status === 401 ? Unauthorized : Refused)(status, body);
  }

  /**
   * Ends the request unless what is awaited comes in time.
   *
   * @template T
   * @param {number} ms
   * @param {() => Promise<T>} wait
   */
  async within(ms, wait) {
    const late = () => this.#controller.abort(new Error(`Nothing came for ${Math.round(ms / 1000)} seconds.`));
    this.#timer = setTimeout(late, ms);
    try {
      return await wait();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** Gives everything back; a connection that still sends is closed. */
  end() {
    this.#outer?.removeEventListener("abort", this.#onAbort);
    this.#controller.abort();
  }
}

/** @param {Headers} headers */
function retryAfterMs(headers) {
  const asked = headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
  return ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : 0; // also where it is no date
}
