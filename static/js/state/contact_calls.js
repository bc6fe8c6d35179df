// The calls with one contact, by when they were, and figures of all of them.

import { Observable } from "../observable.js";

const PAGE = 60;

export class ContactCalls extends Observable {
  contact = null;
  /** @type {object[]} those that are loaded, latest start first */
  calls = [];
  /** Figures of all of them: {total, answered, firstAt, lastAt} */
  figures = null;
  hasMore = false;
  isLoading = true;
  error = null;

  #api;
  #contactId;
  #aborted = new AbortController();
  #loaded = new Map();
  #oldestId = null;

  constructor(api, contactId, { schedule } = {}) {
    super(schedule);
    this.#api = api;
    this.#contactId = contactId;
  }

  /** Loads the latest calls and keeps those that are loaded already. */
  async refresh() {
    await this.#load(async (signal) => {
      const [known, page] = await Promise.all([this.#api.contact(this.#contactId, { signal }), this.#page({ limit: PAGE }, signal)]);
      ({ contact: this.contact, calls: this.figures } = known);
      const isFirst = this.#oldestId === null;
      this.#add(page.calls);
      if (isFirst) this.#continueAfter(page.calls);
    });
  }

  /** Loads older calls. */
  async loadMore() {
    await this.#load(async (signal) => {
      const { calls } = await this.#page({ limit: PAGE, ...(this.#oldestId && { before: this.#oldestId }) }, signal);
      this.#add(calls);
      this.#continueAfter(calls);
    });
  }

  async rename(name) {
    this.contact = { ...this.contact, ...(await this.#api.renameContact(this.#contactId, name)) };
    this.changed();
  }

  /** Erases the contact for good. */
  async erase() {
    await this.#api.eraseContact(this.#contactId);
    await this.refresh();
  }

  /** Forgets a call that was erased. */
  forget(callId) {
    this.#loaded.delete(callId);
    this.#add([]);
    if (callId === this.#oldestId) this.#oldestId = this.calls.at(-1)?.callId ?? null; // where older calls begin
  }

  stop() {
    this.#aborted.abort();
  }

  async #load(work) {
    const { signal } = this.#aborted;
    this.isLoading = true;
    this.error = null;
    this.changed();
    try {
      await work(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.isLoading = false;
    this.changed();
  }

  #page(params, signal) {
    return this.#api.history(new URLSearchParams({ contactId: this.#contactId, ...params }), { signal });
  }

  #add(calls) {
    for (const call of calls) this.#loaded.set(call.callId, call);
    const byStart = (a, b) => b.startTime.localeCompare(a.startTime) || b.callId.localeCompare(a.callId);
    this.calls = [...this.#loaded.values()].sort(byStart);
  }

  #continueAfter(calls) {
    this.#oldestId = calls.at(-1)?.callId ?? this.#oldestId;
    this.hasMore = calls.length === PAGE;
  }
}
