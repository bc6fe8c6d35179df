// The HTTP side of the server. Every failure is an ApiError with one plain sentence, whatever went wrong.

const TIMEOUT_MS = 15_000;

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
 *     but the sign-in itself is answered 401; `onAnswer(dateMs, askedMs, heardMs)` hears the clocks of each answer.
 */
export function createApi({ fetch = globalThis.fetch.bind(globalThis), onSessionOver = () => {}, onAnswer = () => {} } = {}) {
  async function request(method, path, { body, signal } = {}) {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const askedMs = Date.now();
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
    onAnswer(Date.parse(response.headers.get("Date")), askedMs, Date.now());
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

    /** @returns {Promise<{user: object | null} | null>} null: no session. Throws when the server could not say. */
    async whoAmI() {
      try {
        const { user = null } = await request("GET", "/api/user");
        return { user };
      } catch (error) {
        if (error instanceof ApiError && error.isSessionOver) return null;
        throw error;
      }
    },

    /** @returns {Promise<boolean>} false: no session. Throws when the server could not say. */
    async hasSession() {
      return (await this.whoAmI()) !== null;
    },

    async signOut() {
      await request("POST", "/api/auth/logout");
    },

    /** @param {URLSearchParams} params @returns {Promise<{calls: object[], total: number, totalIsExact?: boolean}>} newest first */
    history(params, { signal } = {}) {
      return withSession("GET", `/api/calls/history?${params}`, { signal });
    },

    /** @returns {Promise<string[]>} the names that agents of calls have. */
    async agents({ signal } = {}) {
      return (await withSession("GET", "/api/calls/agents", { signal })).agents;
    },

    /** The numbers of the last hour, day and month, by the days of an IANA time zone. */
    activity(timeZone, { signal } = {}) {
      return withSession("GET", `/api/calls/activity?${new URLSearchParams({ timeZone })}`, { signal });
    },

    async call(callId, { signal } = {}) {
      return (await withSession("GET", `/api/calls/${encodeURIComponent(callId)}`, { signal })).call;
    },

    /** @returns {Promise<{audioUrl: string, duration: number, recordingId: string}>} the address expires. */
    recording(callId, { signal } = {}) {
      return withSession("GET", `/api/calls/${encodeURIComponent(callId)}/recording`, { signal });
    },

    /** @returns {Promise<{duration: number, peaks: number[] | null}>} 0 to 255, evenly over the recording. */
    peaks(callId, { signal } = {}) {
      return withSession("GET", `/api/calls/${encodeURIComponent(callId)}/peaks`, { signal });
    },

    async contact(contactId, { signal } = {}) {
      return (await withSession("GET", `/api/contacts/${encodeURIComponent(contactId)}`, { signal })).contact;
    },

    async renameContact(contactId, name) {
      return (await withSession("PATCH", `/api/contacts/${encodeURIComponent(contactId)}`, { body: { name } })).contact;
    },

    async conversations(contactId, { signal } = {}) {
      return (await withSession("POST", "/api/conversation/all", { body: { contactId }, signal })).conversations;
    },

    /** Messages, oldest first. @param {{before?: string, limit?: number}} page `before`: the id of a message. */
    async messages(conversationId, page, { signal } = {}) {
      const body = { conversationId, ...page };
      return (await withSession("POST", "/api/conversation/messages", { body, signal })).messages;
    },

    async apiKey({ signal } = {}) {
      return (await withSession("GET", "/api/user/api-key", { signal })).data.apiKey;
    },

    async regenerateApiKey() {
      return (await withSession("POST", "/api/user/api-key/regenerate")).data.apiKey;
    },

    /** A call as a vendor sends it, with a recording. */
    sampleCall() {
      return withSession("GET", "/api/sample-call");
    },

    /** Posts as a vendor does, with the key alone. @returns {Promise<{status: number, body: object}>} whatever the answer. */
    async ingest(apiKey, call) {
      const response = await fetch("/api/calls/ingest", {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${apiKey}` },
        body: JSON.stringify(call),
        credentials: "omit",
      });
      return { status: response.status, body: await response.json() };
    },
  };
}
