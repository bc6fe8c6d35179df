import { Attempt } from "./attempt.js";
import { Backoff } from "./backoff.js";
import { toBase64 } from "./base64.js";
import { advance, formatPosition, Messages, parsePosition } from "./feed.js";

const ANSWER_MS = 180_000; // the server fetches a recording while the request waits
const GIVE_UP_MS = 3_600_000;
const HEARTBEAT_MS = 20_000; // until the hello names another

export class Client {
  #url;
  #apiKey;
  #token;
  #onRetry;

  /**
   * @param {string | URL} url
   * @param {import("../types/index.js").ClientOptions} options
   */
  constructor(url, { apiKey, token, onRetry } = {}) {
    const { origin, pathname, protocol } = new URL(url, globalThis.location?.href);
    if (!/^https?:$/.test(protocol)) throw new TypeError("The server's address must begin with http:// or https://.");
    this.#url = origin + pathname.replace(/\/+$/, "");
    this.#apiKey = apiKey;
    this.#token = token;
    this.#onRetry = onRetry;
  }

  /**
   * @param {import("../types/index.js").Call} call
   * @param {import("../types/index.js").SendOptions} options
   * @returns {Promise<import("../types/index.js").Sent>}
   */
  async send(call, { recording, signal, giveUpMs = GIVE_UP_MS } = {}) {
    if (!call.externalCallId) {
      throw new TypeError("Give the call an externalCallId: without one, a retry could store it twice.");
    }
    const headers = { Authorization: bearer(this.#apiKey, "apiKey"), "Content-Type": "application/json" };
    const body = JSON.stringify(recording === undefined ? call : { ...call, recording: await toBase64(recording) });
    const endsAtMs = performance.now() + giveUpMs;
    const backoff = new Backoff(1_000, 60_000, this.#onRetry);
    for (;;) {
      const ms = Math.min(ANSWER_MS, Math.max(0, endsAtMs - performance.now()));
      try {
        return await answerOf(`${this.#url}/api/calls/ingest`, { method: "POST", headers, body }, signal, ms);
      } catch (error) {
        await backoff.after(error, signal, endsAtMs);
      }
    }
  }

  /**
   * @param {import("../types/index.js").FollowOptions} options
   * @returns {AsyncGenerator<import("../types/index.js").FeedItem, never, undefined>}
   */
  async *follow({ after, signal } = {}) {
    let position = parsePosition(after);
    const headers = { Authorization: bearer(this.#token, "token"), Accept: "text/event-stream" };
    const backoff = new Backoff(500, 15_000, this.#onRetry);
    for (;;) {
      const query = position === null ? "" : `?after=${formatPosition(position)}`;
      try {
        for await (const message of stream(`${this.#url}/api/feed${query}`, headers, signal)) {
          const next = advance(position, message);
          position = next.position;
          if (!next.isNew) continue;
          backoff.failures = 0;
          yield { ...message, position: formatPosition(position) };
        }
      } catch (error) {
        await backoff.after(error, signal);
      }
    }
  }
}

/**
 * @param {string} url
 * @param {RequestInit} init
 * @param {AbortSignal | undefined} signal
 * @param {number} ms
 * @returns {Promise<import("../types/index.js").Sent>}
 */
async function answerOf(url, init, signal, ms) {
  const attempt = new Attempt(signal);
  try {
    return await attempt.within(ms, async () => sent(await (await attempt.ask(url, init)).json()));
  } finally {
    attempt.end();
  }
}

/**
 * Yields the messages of one connection. It never returns: a stream that ends is an error, as one that breaks.
 *
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {AbortSignal | undefined} signal
 */
async function* stream(url, headers, signal) {
  const attempt = new Attempt(signal);
  const messages = new Messages();
  let silenceMs = 2 * HEARTBEAT_MS;
  try {
    const response = await attempt.within(silenceMs, () => attempt.ask(url, { headers }));
    if (!response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      throw new Error("The answer is not a stream of events.");
    }
    const reader = response.body.getReader();
    for (;;) {
      // The time that the caller takes for an event is not the server's silence.
      const { done, value } = await attempt.within(silenceMs, () => reader.read());
      if (done) throw new Error("The stream ended.");
      for (const message of messages.take(value)) {
        if (message.event === "hello" && message.heartbeat > 0) silenceMs = 2_000 * message.heartbeat;
        yield message;
      }
    }
  } finally {
    attempt.end();
  }
}

/**
 * @param {string | undefined} credential
 * @param {string} name
 */
function bearer(credential, name) {
  if (!credential) throw new TypeError(`Give the client the option ${name}.`);
  if (/[^\x21-\x7e]/.test(credential)) throw new TypeError(`The option ${name} has a character that no key or token has.`);
  return `Bearer ${credential}`;
}

/** @param {any} answer */
function sent({ success, callId, deduplicated = false, differs = [], warnings = [] }) {
  if (success !== true || !callId) throw new Error("The answer is not one of the server.");
  return { callId, deduplicated, differs, warnings };
}
