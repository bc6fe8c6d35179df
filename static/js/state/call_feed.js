// One signed-in agent's live view of the calls: the store, what loads it and what keeps it current.
//
// The history is asked for while the socket is being opened. A page of it names the last event that is surely in it; if
// the socket's events begin later than that, there is a hole between the two, and the page is asked for again. What comes
// by both ways is merged by the store.

import { ApiError } from "../api.js";
import { EVERYTHING, FIRST_PAGE, filterText, judge, question } from "../search/filter.js";
import { Observable } from "../observable.js";
import { LiveConnection } from "../live/connection.js";
import { watchForWaking } from "../live/page_lifecycle.js";
import { Screening } from "../search/call_matcher.js";
import { CallStore } from "./call_store.js";

const RETRY_MS = 5_000;
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
  #early;
  #isStarted = false;
  #pageSeq = 0; // the last event that is surely in the first page
  #eventsFrom = 0; // the events that come by the socket are those after this one

  /**
   * @param {{api, hubUrl: string, firstPage: {question: string, answer: Promise} | null, onSessionOver, onStranger}} parts
   *     `firstPage`: one that was asked for already, see early.js
   */
  constructor({ api, hubUrl, firstPage = null, onSessionOver, onStranger }) {
    super();
    this.#api = api;
    this.#early = firstPage;
    this.#screening = new Screening((callId) => api.call(callId));
    this.calls = new CallStore({
      judge: (row) => judge(this.filter, row, Date.now()),
      onAsk: (row) => this.#ask(row.callId),
    });
    this.live = new LiveConnection(hubUrl, {
      onBegin: () => this.#begin(),
      onResync: () => this.#resync(),
      onEvent: (event) => this.#hear(event),
      onSessionOver,
      onStranger,
      hasSession: () => api.hasSession(),
    });
  }

  start() {
    this.#isStarted = true;
    this.reload();
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
    if (this.#isStarted) this.reload();
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
      const { calls, seq, ...page } = await this.#page(FIRST_PAGE, null, signal);
      if (signal.aborted) return;
      this.calls.replace(calls, page);
      this.#pageSeq = seq;
      this.#show({ first: "ready" });
      this.#closeHole();
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
      const { calls, seq, ...page } = await this.#page(NEXT_PAGE, this.calls.frontierId, signal);
      if (signal.aborted) return;
      this.calls.extend(calls, page);
      this.#show({ more: "ready" });
    } catch (error) {
      if (signal.aborted || isSessionOver(error)) return;
      this.#show({ more: "failed", error });
    }
  }

  async #page(limit, before, signal) {
    const params = question(this.filter, Date.now(), before === null ? { limit } : { limit, before });
    const early = this.#early?.question === String(params) ? this.#early.answer : null;
    this.#early = null;
    const { calls, total, totalIsExact, seq } = await (early ?? this.#api.history(params, { signal }));
    return { calls, total, totalIsExact, seq, isLast: calls.length < limit };
  }

  #begin() {
    this.#eventsFrom = this.live.position.seq;
    this.#closeHole();
  }

  #resync() {
    this.#eventsFrom = this.live.position.seq;
    this.reload();
  }

  // A page that is still awaited, or tried again, is judged when it is here.
  #closeHole() {
    if (this.loading.first === "ready" && this.#pageSeq < this.#eventsFrom) this.reload();
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
