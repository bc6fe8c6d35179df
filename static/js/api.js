// The HTTP side of the server. Every failure is an ApiError with one plain sentence, whatever went wrong.

const TIMEOUT_MS = 15_000;
const PAGE_SIZE = 50;

export class ApiError extends Error {
  /** @param {number} status the HTTP status; 0 when there was no answer at all. */
  constructor(status, message, options) {
    super(message, options);
    this.name = "ApiError";
    this.status = status;
  }

  get isSessionOver() {
    return this.status === 401;
  }
}

/**
 * @param {{fetch?: typeof fetch, onSessionOver?: () => void}} parts `onSessionOver` is told when any request
 *     but the sign-in itself is answered 401.
 */
export function createApi({ fetch = globalThis.fetch.bind(globalThis), onSessionOver = () => {} } = {}) {
  async function request(method, path, { body, signal } = {}) {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        signal: signal && AbortSignal.any ? AbortSignal.any([signal, limit]) : (signal ?? limit),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "The server cannot be reached.", { cause: error });
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    const sentence = typeof answer?.error === "string" ? answer.error : `The server answered with status ${response.status}.`;
    throw new ApiError(response.status, sentence);
  }

  async function withSession(method, path, options) {
    try {
      return await request(method, path, options);
    } catch (error) {
      if (error instanceof ApiError && error.isSessionOver) onSessionOver();
      throw error;
    }
  }

  return {
    /** @returns {Promise<{id, email, fullName, organizationId, accessRole}>} the cookie is the server's to set. */
    async signIn(email, password) {
      return (await request("POST", "/api/auth/login", { body: { email, password } })).user;
    },

    /** @returns {Promise<boolean>} false: no session. Throws when the server could not say. */
    async hasSession() {
      try {
        await request("GET", "/api/auth/verify-token");
        return true;
      } catch (error) {
        if (error instanceof ApiError && error.isSessionOver) return false;
        throw error;
      }
    },

    async signOut() {
      await request("POST", "/api/auth/logout");
    },

    /** Calls, newest first. @returns {Promise<{calls: object[], total: number}>} */
    history({ offset = 0, limit = PAGE_SIZE } = {}, { signal } = {}) {
      return withSession("GET", `/api/calls/history?limit=${limit}&offset=${offset}`, { signal });
    },

    async call(callId, { signal } = {}) {
      return (await withSession("GET", `/api/calls/${encodeURIComponent(callId)}`, { signal })).call;
    },

    /** @returns {Promise<{audioUrl: string, duration: number, recordingId: string}>} the address expires. */
    recording(callId, { signal } = {}) {
      return withSession("GET", `/api/calls/${encodeURIComponent(callId)}/recording`, { signal });
    },
  };
}
