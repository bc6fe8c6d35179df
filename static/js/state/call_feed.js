// The live list of calls: the filter, the pages of history, and the events of the WebSocket.
//
// The first page is requested while the WebSocket is being opened. Each page names the last event that it includes; if the
// WebSocket's events begin later than that, some are missing and the page is requested again. Calls that arrive both ways
// are merged by the store.

import { ApiError } from "../api.js";
import { LiveConnection } from "../live/connection.js";
import { renewOnPageLifecycle } from "../live/page_lifecycle.js";
import { Observable } from "../observable.js";
import { CallMatcher } from "../search/call_matcher.js";
import { FIRST_PAGE, historyParams, matchFilter, NO_FILTER, serializeFilter } from "../search/filter.js";
import { CallStore } from "./call_store.js";

const RETRY_MS = 5_000;
const NEXT_PAGE = 200;
const BATCH_MS = 5_000; // calls of a busy minute come into the list together, this often

export class CallFeed extends Observable {
  calls;
  filter = NO_FILTER;
  /** The state of the first page ("loading" | "ready" | "failed") and of the next one. */
  loading = { first: "loading", more: "ready", error: null };
  /** What the server says of the search, [{code, message}]. */
  notices = [];
  /** The user has paused the list. */
  isPaused = false;
  /** The scroll position of the list, kept while another page is shown. */
  scrollTop = 0;

  #api;
  #aborted = new AbortController();
  #stopLifecycle = () => {};
  #retry = null;
  #isReading = false;
  #batch = null; // the timer of the next release
  #listeners = new Set();
  #matcher;
  #prefetched;
  #isStarted = false;
  #pageSeq = 0; // the last event that the first page includes
  #eventsFrom = 0; // the events of the WebSocket begin after this one

  /**
   * @param {object} options
   * @param {{params: string, response: Promise} | null} options.firstPage a request made earlier, see prefetch.js
   */
  constructor({ api, hubUrl, firstPage = null, onSessionExpired, onOrganizationChange, onRoleChange = () => {} }) {
    super();
    this.#api = api;
    this.#prefetched = firstPage;
    this.#matcher = new CallMatcher((callId) => api.call(callId));
    this.calls = new CallStore({
      match: (row) => matchFilter(this.filter, row, Date.now()),
      onSearch: (row) => this.#search(row.callId),
    });
    this.live = new LiveConnection(hubUrl, {
      onBegin: () => this.#onBegin(),
      onResync: () => this.#onResync(),
      onEvent: (event) => this.#onEvent(event),
      onSessionExpired,
      onOrganizationChange,
      onRoleChange,
      hasSession: () => api.hasSession(),
    });
  }

  start() {
    this.#isStarted = true;
    this.reload();
    this.live.start();
    this.#stopLifecycle = renewOnPageLifecycle(this.live);
  }

  stop() {
    this.#stopLifecycle();
    this.#aborted.abort();
    clearTimeout(this.#retry);
    clearTimeout(this.#batch);
    this.live.stop();
  }

  /** Calls `listener` with every event, whatever the filter. @returns {() => void} stops */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setFilter(filter) {
    if (serializeFilter(filter) === serializeFilter(this.filter)) return;
    this.filter = filter;
    this.scrollTop = 0;
    this.calls.expectFilterChange();
    if (this.#isStarted) this.reload();
  }

  /** Matches a call that has arrived against any filter. @returns {Promise<boolean>} */
  async matches(filter, row) {
    const result = matchFilter(filter, row, Date.now());
    return result === "search" ? (await this.#matcher.find(row.callId, filter.search)) !== null : result === "match";
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.#arrange();
    this.changed();
  }

  /** Says whether the user reads the list or is about to click in it: no row may move then. */
  setReading(isReading) {
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    this.#arrange();
    if (this.calls.hasWaiting) this.changed();
  }

  /** Whether calls that arrive wait for the user. */
  get isHeld() {
    return this.isPaused || this.#isReading;
  }

  #arrange() {
    if (this.isHeld) this.calls.hold();
    else this.release();
  }

  #awaitBatch() {
    if (this.isHeld || !this.calls.hasWaiting) return;
    this.#batch ??= setTimeout(() => {
      this.#batch = null;
      if (!this.isHeld) this.release();
    }, BATCH_MS);
  }

  /** Shows the calls that were held back. */
  release() {
    const { hasOverflowed } = this.calls;
    this.calls.release(Date.now());
    if (this.isHeld) this.calls.hold();
    if (hasOverflowed) this.reload();
  }

  /** Loads the newest calls; retries until it succeeds. */
  async reload() {
    this.#aborted.abort();
    clearTimeout(this.#retry);
    this.#aborted = new AbortController();
    const { signal } = this.#aborted;
    this.calls.expectFirstPage();
    this.#show({ first: "loading", more: "ready", error: null });
    try {
      const { calls, seq, notices, ...page } = await this.#fetchPage(FIRST_PAGE, null, signal);
      if (signal.aborted) return;
      this.notices = notices;
      this.calls.replace(calls, page);
      this.#pageSeq = seq;
      this.#show({ first: "ready" });
      this.#fillGap();
    } catch (error) {
      if (signal.aborted || isUnauthorized(error)) return;
      this.#show({ first: "failed", error });
      if (error.status !== 400) this.#retry = setTimeout(() => this.reload(), RETRY_MS);
    }
  }

  /** Loads the next page of older calls. */
  async loadMore() {
    const isBusy = this.loading.first !== "ready" || this.loading.more === "loading";
    if (isBusy || this.calls.isComplete) return;
    const { signal } = this.#aborted;
    this.#show({ more: "loading", error: null });
    try {
      const { calls, seq, notices, ...page } = await this.#fetchPage(NEXT_PAGE, this.calls.pageCursor, signal);
      if (signal.aborted) return;
      this.calls.append(calls, page);
      this.#show({ more: "ready" });
    } catch (error) {
      if (signal.aborted || isUnauthorized(error)) return;
      this.#show({ more: "failed", error });
    }
  }

  async #fetchPage(limit, before, signal) {
    const params = historyParams(this.filter, Date.now(), before === null ? { limit } : { limit, before });
    const prefetched = this.#prefetched?.params === String(params) ? this.#prefetched.response : null;
    this.#prefetched = null;
    const { calls, total, totalIsExact, seq, notices = [] } = await (prefetched ?? this.#api.history(params, { signal }));
    return { calls, total, totalIsExact, seq, notices, isLast: calls.length < limit };
  }

  #onBegin() {
    this.#eventsFrom = this.live.position.seq;
    this.#fillGap();
  }

  #onResync() {
    this.#eventsFrom = this.live.position.seq;
    this.reload();
  }

  // While the first page is loading or being retried there is nothing to compare: `reload` calls this when it is here.
  #fillGap() {
    if (this.loading.first === "ready" && this.#pageSeq < this.#eventsFrom) this.reload();
  }

  #onEvent(event) {
    this.calls.apply(event, Date.now());
    this.#awaitBatch();
    for (const listener of [...this.#listeners]) listener(event);
  }

  async #search(callId) {
    const { filter } = this;
    let hits;
    try {
      hits = await this.#matcher.find(callId, filter.search);
    } catch {
      // One reload answers for this call and all others that are waiting.
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.reload(), RETRY_MS);
      return;
    }
    if (filter !== this.filter) return;
    this.calls.resolveSearch(callId, hits, Date.now());
    this.#awaitBatch();
  }

  #show(change) {
    this.loading = { ...this.loading, ...change };
    this.changed();
  }
}

// After a 401 the page shows the sign-in form, so there is nothing to report. Rethrows what is not a failure of the server.
function isUnauthorized(error) {
  if (!(error instanceof ApiError)) throw error;
  return error.isUnauthorized;
}
