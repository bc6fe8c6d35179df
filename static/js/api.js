// The HTTP API. Every failure is an ApiError with a sentence that can be shown.

const TIMEOUT_MS = 15_000;
const LONG_TIMEOUT_MS = 300_000; // for a request that does much: a replay of thousands of deliveries

// A user with what the role may do, and what everybody sees of the organization.
const known = ({ user = null, allowed = [], organization = null }) => user && { ...user, allowed, organization };

export class ApiError extends Error {
  /** @param {number} status the HTTP status; 0 if there was no response */
  /** @param {string | null} code of the error, as `docs/errors.md` has it */
  constructor(status, message, { code = null, field = null, ...options } = {}) {
    super(message, options);
    this.field = field; // of the request, which is wrong
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  get isUnauthorized() {
    return this.status === 401;
  }
}

const LONG_NUMBER = /[:[,]\s*-?\d{16}/;

/** JSON as values; a whole number that JavaScript cannot hold is the text of its digits, in browsers that tell it. */
export function parseJson(text) {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  const exact = (_, value, context) => {
    const isRounded = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "");
    return isRounded ? context.source : value;
  };
  return JSON.parse(text, exact);
}

/**
 * @param {object} options
 *   fetch                                      replaces the browser's `fetch`
 *   onSessionExpired()                         a request other than the sign-in was answered 401
 *   onResponse(dateMs, sentAtMs, receivedAtMs) the `Date` header of a response, and this page's clock around it
 */
export function createApi({ fetch = globalThis.fetch.bind(globalThis), onSessionExpired = () => {}, onResponse = () => {} } = {}) {
  async function request(method, path, { body, raw, signal, timeoutMs = TIMEOUT_MS } = {}) {
    const sent = raw ?? (body === undefined ? null : { type: "application/json", text: JSON.stringify(body) });
    const timeout = AbortSignal.timeout(timeoutMs);
    const sentAtMs = Date.now();
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: sent === null ? {} : { "Content-Type": sent.type },
        body: sent?.text,
        credentials: "same-origin",
        cache: "no-store",
        signal: signal && AbortSignal.any ? AbortSignal.any([signal, timeout]) : (signal ?? timeout),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "Can't reach the server.", { cause: error });
    }
    onResponse(Date.parse(response.headers.get("Date")), sentAtMs, Date.now());
    const result = await response.text().then(parseJson).catch(() => null);
    if (response.ok && result !== null) return result;
    const message = typeof result?.error === "string" ? result.error : `The server responded with status ${response.status}.`;
    throw new ApiError(response.status, message, { code: result?.code ?? null, field: result?.field ?? null });
  }

  async function withSession(method, path, options) {
    try {
      return await request(method, path, options);
    } catch (error) {
      if (error instanceof ApiError && error.isUnauthorized) onSessionExpired();
      throw error;
    }
  }

  return {
    /** @returns {Promise<{id, email, fullName, organizationId, accessRole, allowed: string[]}>} the server sets the session cookie */
    async signIn(email, password) {
      return known(await request("POST", "api/auth/login", { body: { email, password } }));
    },

    /** @returns {Promise<{user: object | null} | null>} null without a session; throws if the server gave no answer */
    async whoAmI() {
      try {
        return { user: known(await request("GET", "api/user")) };
      } catch (error) {
        if (error instanceof ApiError && error.isUnauthorized) return null;
        throw error;
      }
    },

    /** @returns {Promise<boolean>} false without a session; throws if the server gave no answer */
    async hasSession() {
      return (await this.whoAmI()) !== null;
    },

    async signOut() {
      await request("POST", "api/auth/logout");
    },

    /** @param {URLSearchParams} params @returns {Promise<{calls: object[], total: number, totalIsExact?: boolean}>} newest first */
    history(params, { signal } = {}) {
      return withSession("GET", `api/calls/history?${params}`, { signal });
    },

    /** @returns {Promise<string[]>} the names of the agents in all calls */
    async agents({ signal } = {}) {
      return (await withSession("GET", "api/calls/agents", { signal })).agents;
    },

    /** Figures of a period. @param {{range?: string, startDate?: string, endDate?: string, localTimeZone: string}} period */
    activity(period, { signal } = {}) {
      return withSession("GET", `api/calls/activity?${new URLSearchParams(period)}`, { signal });
    },

    async call(callId, { signal } = {}) {
      return (await withSession("GET", `api/calls/${encodeURIComponent(callId)}`, { signal })).call;
    },

    /** @returns {Promise<{audioUrl: string, duration: number, recordingId: string}>} `audioUrl` expires */
    recording(callId, { signal } = {}) {
      return withSession("GET", `api/calls/${encodeURIComponent(callId)}/recording`, { signal });
    },

    /** A link for a download, which the audit log tells from listening. */
    recordingToSave(callId) {
      return withSession("GET", `api/calls/${encodeURIComponent(callId)}/recording?for=download`);
    },

    /** Erases a call for good. @returns {Promise<{erased: object, pending?: object}>} */
    eraseCall(callId) {
      return withSession("DELETE", `api/calls/${encodeURIComponent(callId)}`, { timeoutMs: LONG_TIMEOUT_MS });
    },

    /** Erases a contact with all its calls for good. */
    eraseContact(contactId) {
      return withSession("DELETE", `api/contacts/${encodeURIComponent(contactId)}`, { timeoutMs: LONG_TIMEOUT_MS });
    },

    /** Who did what. @returns {Promise<{entries: object[], total: number}>} newest first */
    audit(filter, { signal } = {}) {
      return withSession("GET", `api/audit?${new URLSearchParams(filter)}`, { signal });
    },

    /** An entry of a call's history with all its values. @returns {Promise<{changed: object}>} */
    async callChange(callId, number, { signal } = {}) {
      return (await withSession("GET", `api/calls/${encodeURIComponent(callId)}/history/${number}`, { signal })).change;
    },

    /** Has a recording that could not be fetched fetched again. */
    retryRecording(callId) {
      return withSession("POST", `api/calls/${encodeURIComponent(callId)}/recording/retry`);
    },

    /**
     * A copy of the recording that every browser plays. An error with the code `copy_not_ready` says that it is being made.
     *
     * @returns {Promise<{playableUrl: string}>} which expires
     */
    playableRecording(callId, { signal } = {}) {
      return withSession("GET", `api/calls/${encodeURIComponent(callId)}/recording?playable=1`, { signal });
    },

    /** @returns {Promise<{duration: number, peaks: number[] | null, channels: number[][] | null}>} 0 to 255, spread evenly over the recording */
    peaks(callId, { signal } = {}) {
      return withSession("GET", `api/calls/${encodeURIComponent(callId)}/peaks`, { signal });
    },

    async people({ signal } = {}) {
      return (await withSession("GET", "api/users", { signal })).users;
    },

    /** @returns {Promise<{user: object, path: string}>} `path`: of the page where the person chooses a password */
    invite(person) {
      return withSession("POST", "api/users/invite", { body: person });
    },

    async changePerson(userId, change) {
      return (await withSession("PATCH", `api/users/${encodeURIComponent(userId)}`, { body: change })).user;
    },

    /** @returns {Promise<{user: object, path: string}>} as of an invitation */
    resetPassword(userId) {
      return withSession("POST", `api/users/${encodeURIComponent(userId)}/reset-password`);
    },

    endSessions(userId) {
      return withSession("POST", `api/users/${encodeURIComponent(userId)}/end-sessions`);
    },

    changePassword(current, fresh) {
      return withSession("POST", "api/auth/password", { body: { current, new: fresh } });
    },

    /** Whom a link to choose a password is for. @returns {Promise<{kind: "invite" | "reset", email, fullName, organizationName}>} */
    link(token) {
      return request("POST", "api/auth/link", { body: { token } });
    },

    /** Uses a link up: sets the password and signs in. */
    join(token, password) {
      return request("POST", "api/auth/join", { body: { token, password } });
    },

    async organization({ signal } = {}) {
      return (await withSession("GET", "api/organization", { signal })).organization;
    },

    /** What a retention would erase now, counted up to 100,000. @returns {Promise<{calls: number, recordings: number}>} */
    retentionPreview({ recordingsDays, callsDays }) {
      const params = new URLSearchParams({ recordingsDays: recordingsDays ?? "", callsDays: callsDays ?? "" });
      return withSession("GET", `api/organization/retention?${params}`);
    },

    async changeOrganization(change) {
      return (await withSession("PATCH", "api/organization", { body: change })).organization;
    },

    /** A contact, and figures of all its calls. @returns {Promise<{contact: object, calls: {total, answered, firstAt, lastAt}}>} */
    contact(contactId, { signal } = {}) {
      return withSession("GET", `api/contacts/${encodeURIComponent(contactId)}`, { signal });
    },

    async renameContact(contactId, name) {
      return (await withSession("PATCH", `api/contacts/${encodeURIComponent(contactId)}`, { body: { name } })).contact;
    },

    async apiKey({ signal } = {}) {
      return (await withSession("GET", "api/user/api-key", { signal })).data.apiKey;
    },

    async regenerateApiKey() {
      return (await withSession("POST", "api/user/api-key/regenerate")).data.apiKey;
    },

    /** @returns {Promise<object[]>} the organization's sources, without their keys */
    async sources({ signal } = {}) {
      return (await withSession("GET", "api/sources", { signal })).sources;
    },

    /** A source with counts of what became of its deliveries, and of its refusals by cause. */
    async source(sourceId, { signal } = {}) {
      return (await withSession("GET", `api/sources/${encodeURIComponent(sourceId)}`, { signal })).source;
    },

    /** @param {{name: string, kind: string, settings?: object}} source @returns {Promise<{source: object, apiKey?: string, webhookPath?: string}>} */
    addSource(source) {
      return withSession("POST", "api/sources", { body: source });
    },

    async changeSource(sourceId, change) {
      return (await withSession("PATCH", `api/sources/${encodeURIComponent(sourceId)}`, { body: change })).source;
    },

    /** @returns {Promise<string>} the new API key; the old one works for `overlapHours` more */
    async rotateSource(sourceId, overlapHours) {
      const path = `api/sources/${encodeURIComponent(sourceId)}/rotate`;
      return (await withSession("POST", path, { body: { overlapHours } })).apiKey;
    },

    /** @returns {Promise<object[]>} the organization's read tokens, without their text */
    async tokens({ signal } = {}) {
      return (await withSession("GET", "api/tokens", { signal })).tokens;
    },

    /** @param {{name: string, scopes: string[], expiresAt: string | null}} token @returns {Promise<{token: string, readToken: object}>} */
    makeToken(token) {
      return withSession("POST", "api/tokens", { body: token });
    },

    revokeToken(tokenId) {
      return withSession("DELETE", `api/tokens/${encodeURIComponent(tokenId)}`);
    },

    /** @returns {Promise<{deliveries: object[], total: number}>} newest first */
    deliveries(filter, { signal } = {}) {
      return withSession("GET", `api/deliveries?${new URLSearchParams(filter)}`, { signal });
    },

    async deliveryReasons({ signal } = {}) {
      return (await withSession("GET", "api/deliveries/reasons", { signal })).reasons;
    },

    async delivery(deliveryId, { signal } = {}) {
      return (await withSession("GET", `api/deliveries/${encodeURIComponent(deliveryId)}`, { signal })).delivery;
    },

    /** The body as it was sent, secrets masked: a JSON value or a text. @returns {Promise<{body: unknown, isJson: boolean}>} */
    deliveryBody(deliveryId, { signal } = {}) {
      return withSession("GET", `api/deliveries/${encodeURIComponent(deliveryId)}/body`, { signal });
    },

    /** @returns {Promise<{verdict: string, callId?: string}>} */
    replayDelivery(deliveryId) {
      return withSession("POST", `api/deliveries/${encodeURIComponent(deliveryId)}/replay`, { timeoutMs: LONG_TIMEOUT_MS });
    },

    /**
     * With `plan`: {matching}, and nothing is replayed. Without: {replayed, verdicts, resumeFrom}, a count for each verdict, and
     * where another request continues if there were too many for one.
     */
    replayDeliveries(filter, { plan }) {
      return withSession("POST", "api/deliveries/replay", { body: { filter, plan }, timeoutMs: LONG_TIMEOUT_MS });
    },

    /**
     * What would become of a vendor's payload. Nothing is stored.
     *
     * @param {{type: string, text: string}} raw the payload as the vendor sends it, and its content type
     * @param {string | null} sourceId of the source whose numbers and settings are used
     * @returns {Promise<{verdict: string, code?: string, field?: string, error?: string, call: object | null, missing: string[],
     *     notes: {field: string | null, path: string | null, note: string}[]}>}
     */
    dryRun(vendor, raw, sourceId) {
      const query = sourceId ? `?${new URLSearchParams({ source: sourceId })}` : "";
      return withSession("POST", `api/webhook/${encodeURIComponent(vendor)}/dry-run${query}`, { raw });
    },

    /** A call in the form in which vendors send it, with a recording. */
    sampleCall() {
      return withSession("GET", "api/sample-call");
    },

    /** Posts a call as a vendor does: with the API key, without the session. @returns {Promise<{status: number, body: object}>} */
    async ingest(apiKey, call) {
      const response = await fetch("api/calls/ingest", {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${apiKey}` },
        body: JSON.stringify(call),
        credentials: "omit",
      });
      return { status: response.status, body: await response.json() };
    },
  };
}
