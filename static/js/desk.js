// One signed-in agent's live view of the calls: the store, what loads it and what keeps it current.
//
// The socket is opened first and the history is asked for at its hello, so nothing that is committed in between can be
// missed; what comes by both ways is merged by the store.

import { ApiError } from "./api.js";
import { EVERYTHING, filterText, judge, question } from "./filter.js";
import { Observable } from "./observable.js";
import { LiveConnection } from "./live/connection.js";
import { watchForWaking } from "./live/wake.js";
import { Screening } from "./screening.js";
import { CallStore } from "./store.js";

const RETRY_MS = 5_000;
const FIRST_PAGE = 50;
const NEXT_PAGE = 200;

export class Desk extends Observable {
  calls;
  filter = EVERYTHING;
  /** The first page: "loading" | "ready" | "failed"; and a further one. */
  loading = { first: "loading", more: "ready", error: null };
  /** The reader wants the list to stand still. */
  isPaused = false;
  /** Where the list was scrolled to when it was last on the screen. */
  scrollTop = 0;

  #api;
  #aborted = new AbortController();
  #stopWatching = () => {};
  #retry = null;
  #listeners = new Set();
  #screening;

  /** @param {{api, hubUrl: string, onSessionOver: () => void, onStranger: () => void}} parts */
  constructor({ api, hubUrl, onSessionOver, onStranger }) {
    super();
    this.#api = api;
    this.#screening = new Screening((callId) => api.call(callId));
    this.calls = new CallStore({
      judge: (row) => judge(this.filter, row, Date.now()),
      onAsk: (row) => this.#ask(row.callId),
    });
    this.live = new LiveConnection(hubUrl, {
      onBegin: () => this.reload(),
      onResync: () => this.reload(),
      onEvent: (event) => this.#hear(event),
      onSessionOver,
      onStranger,
      hasSession: () => api.hasSession(),
    });
  }

  start() {
    this.live.start();
    this.#stopWatching = watchForWaking(this.live);
  }

  stop() {
    this.#stopWatching();
    this.#aborted.abort();
    clearTimeout(this.#retry);
    this.live.stop();
  }

  /** Hears every event of the feed, whatever the filter. @returns {() => void} stops it. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Shows other calls. */
  setFilter(filter) {
    if (filterText(filter) === filterText(this.filter)) return;
    this.filter = filter;
    this.scrollTop = 0;
    this.calls.expectOtherView();
    if (this.live.position.seq !== null) this.reload();
  }

  /** @returns {Promise<boolean>} whether a call of the feed belongs to a filter of any kind. */
  async belongs(filter, row) {
    const verdict = judge(filter, row, Date.now());
    return verdict === "ask" ? this.#screening.isFound(row.callId, filter.search) : verdict === "in";
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.changed();
  }

  /** Lets what waited into the list. */
  release() {
    const { hasOverflown } = this.calls;
    this.calls.release();
    if (hasOverflown) this.reload();
  }

  /** Loads the newest calls afresh; tries again by itself until it works. */
  async reload() {
    this.#aborted.abort();
    clearTimeout(this.#retry);
    this.#aborted = new AbortController();
    const { signal } = this.#aborted;
    this.calls.expectFirstPage();
    this.#show({ first: "loading", more: "ready", error: null });
    try {
      const { calls, ...page } = await this.#page(FIRST_PAGE, null, signal);
      if (signal.aborted) return;
      this.calls.replace(calls, page);
      this.#show({ first: "ready" });
    } catch (error) {
      if (signal.aborted || isSessionOver(error)) return;
      this.#show({ first: "failed", error });
      if (error.status !== 400) this.#retry = setTimeout(() => this.reload(), RETRY_MS);
    }
  }

  /** Loads the page after the last call that is known. */
  async loadMore() {
    const isBusy = this.loading.first !== "ready" || this.loading.more === "loading";
    if (isBusy || this.calls.isComplete) return;
    const { signal } = this.#aborted;
    this.#show({ more: "loading", error: null });
    try {
      const { calls, ...page } = await this.#page(NEXT_PAGE, this.calls.frontierId, signal);
      if (signal.aborted) return;
      this.calls.extend(calls, page);
      this.#show({ more: "ready" });
    } catch (error) {
      if (signal.aborted || isSessionOver(error)) return;
      this.#show({ more: "failed", error });
    }
  }

  async #page(limit, before, signal) {
    const params = question(this.filter, Date.now());
    params.set("limit", limit);
    if (before !== null) params.set("before", before);
    const { calls, total, totalIsExact } = await this.#api.history(params, { signal });
    return { calls, total, totalIsExact, isLast: calls.length < limit };
  }

  #hear(event) {
    this.calls.apply(event, Date.now());
    for (const listener of [...this.#listeners]) listener(event);
  }

  async #ask(callId) {
    const { filter } = this;
    let belongs;
    try {
      belongs = await this.#screening.isFound(callId, filter.search);
    } catch {
      // Not one at a time, then: the history itself will say, in a moment, for all that wait.
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.reload(), RETRY_MS);
      return;
    }
    if (filter === this.filter) this.calls.decide(callId, belongs);
  }

  #show(change) {
    this.loading = { ...this.loading, ...change };
    this.changed();
  }
}

// True: the page is about to show the sign-in form. Throws what is no failure of the server but a mistake of this page.
function isSessionOver(error) {
  if (!(error instanceof ApiError)) throw error;
  return error.isSessionOver;
}
