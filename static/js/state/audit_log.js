// The entries of the audit log that a filter leaves, newest first, a page at a time.

import { Observable } from "../observable.js";
import { auditQuery } from "../search/audit_filter.js";

const PAGE = 100;

export class AuditEntries extends Observable {
  /** @type {object[]} */
  items = [];
  /** How many there are in all, counted up to 10,000; null until the first page is here. */
  total = null;
  hasMore = false;
  isLoading = true;
  error = null;

  #api;
  #filter = {};
  #aborted = new AbortController();

  constructor(api, { schedule } = {}) {
    super(schedule);
    this.#api = api;
  }

  /** Loads the first page of a filter. */
  async setFilter(filter) {
    this.#filter = filter;
    await this.reload();
  }

  async reload() {
    this.#aborted.abort();
    this.#aborted = new AbortController();
    await this.#load({}, (entries) => entries);
  }

  async loadMore() {
    await this.#load({ before: this.items.at(-1).id }, (entries) => [...this.items, ...entries]);
  }

  stop() {
    this.#aborted.abort();
  }

  async #load(more, place) {
    const { signal } = this.#aborted;
    this.isLoading = true;
    this.changed();
    try {
      const { entries, total } = await this.#api.audit({ ...auditQuery(this.#filter, Date.now()), ...more, limit: PAGE }, { signal });
      if (signal.aborted) return;
      this.items = place(entries);
      this.total = total;
      this.hasMore = entries.length === PAGE;
      this.error = null;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.isLoading = false;
    this.changed();
  }
}
