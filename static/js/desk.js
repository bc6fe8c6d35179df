// One signed-in agent's live view of the calls: the store, what loads it and what keeps it current.
//
// The socket is opened first and the history is asked for at its hello, so nothing that is committed in between can be
// missed; what comes by both ways is merged by the store.

import { ApiError } from "./api.js";
import { Observable } from "./observable.js";
import { LiveConnection } from "./live/connection.js";
import { watchForWaking } from "./live/wake.js";
import { CallStore } from "./store.js";

const RETRY_MS = 5_000;

export class Desk extends Observable {
  calls = new CallStore();
  /** The first page: "loading" | "ready" | "failed"; and a further one. */
  loading = { first: "loading", more: "ready", error: null };

  #api;
  #aborted = new AbortController();
  #stopWatching = () => {};
  #retry = null;

  /** @param {{api, hubUrl: string, onSessionOver: () => void, onStranger: () => void}} parts */
  constructor({ api, hubUrl, onSessionOver, onStranger }) {
    super();
    this.#api = api;
    this.live = new LiveConnection(hubUrl, {
      onBegin: () => this.reload(),
      onResync: () => this.reload(),
      onEvent: (event) => this.calls.apply(event, Date.now()),
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

  /** Loads the newest calls afresh; tries again by itself until it works. */
  async reload() {
    this.#aborted.abort();
    clearTimeout(this.#retry);
    this.#aborted = new AbortController();
    const { signal } = this.#aborted;
    this.calls.expectFirstPage();
    this.#show({ first: this.calls.rows.size > 0 ? "ready" : "loading", more: "ready", error: null });
    try {
      const { calls, total } = await this.#api.history({}, { signal });
      if (signal.aborted) return;
      this.calls.replace(calls, total);
      this.#show({ first: "ready" });
    } catch (error) {
      if (signal.aborted || isSessionOver(error)) return;
      this.#show({ first: "failed", error });
      this.#retry = setTimeout(() => this.reload(), RETRY_MS);
    }
  }

  /** Loads the page after the last call that is known. */
  async loadMore() {
    const isBusy = this.loading.first !== "ready" || this.loading.more === "loading";
    if (isBusy || this.calls.isComplete) return;
    const { signal } = this.#aborted;
    this.#show({ more: "loading", error: null });
    try {
      const { calls, total } = await this.#api.history({ offset: this.calls.nextOffset }, { signal });
      if (signal.aborted) return;
      this.calls.extend(calls, total);
      this.#show({ more: "ready" });
    } catch (error) {
      if (signal.aborted || isSessionOver(error)) return;
      this.#show({ more: "failed", error });
    }
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
