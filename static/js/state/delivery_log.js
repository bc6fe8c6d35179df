// The deliveries of a filter, newest first, and why the failed ones failed.

import { Observable } from "../observable.js";
import { deliveryQuery, serializeDeliveryFilter } from "../search/delivery_filter.js";

const PAGE = 50;

export class DeliveryLog extends Observable {
  filter = {};
  /** @type {object[]} */
  items = [];
  total = null;
  /** @type {{verdict: string, code: string | null, count: number, lastAt: string}[]} of all deliveries, whatever the filter */
  reasons = [];
  /** @type {{id: string, name: string, kind: string}[]} */
  sources = [];
  isLoading = true;
  error = null;

  #api;
  #aborted = new AbortController();

  constructor(api, { schedule } = {}) {
    super(schedule);
    this.#api = api;
  }

  get hasMore() {
    return this.items.length > 0 && this.total > this.items.length;
  }

  /** The source's name. What is not in the list is the API key of a user. */
  sourceName(sourceId) {
    return this.sources.find(({ id }) => id === sourceId)?.name ?? "A user's own key";
  }

  /** How the source sends: the kind of vendor, `api` for a user's key. */
  sourceKind(sourceId) {
    return this.sources.find(({ id }) => id === sourceId)?.kind ?? "api";
  }

  setFilter(filter) {
    const isSame = serializeDeliveryFilter(filter) === serializeDeliveryFilter(this.filter);
    this.filter = filter;
    if (!isSame || this.total === null) this.reload();
  }

  /** Loads the newest deliveries, the reasons and the sources. */
  reload() {
    return this.#load(async (signal) => {
      const [page, reasons, sources] = await Promise.all([
        this.#api.deliveries(this.#params(), { signal }),
        this.#api.deliveryReasons({ signal }),
        this.#api.sources({ signal }),
      ]);
      this.items = page.deliveries;
      this.total = page.total;
      this.reasons = reasons;
      this.sources = sources;
    });
  }

  /** Loads the next page of older deliveries. */
  loadMore() {
    return this.#load(async (signal) => {
      const page = await this.#api.deliveries({ ...this.#params(), before: this.items.at(-1).id }, { signal });
      this.items = [...this.items, ...page.deliveries];
      this.total = page.deliveries.length === 0 ? this.items.length : page.total;
    });
  }

  /** How many deliveries a replay of the filter would send again. @returns {Promise<number>} */
  async countReplay() {
    return (await this.#api.replayDeliveries(deliveryQuery(this.filter, Date.now()), { plan: true })).matching;
  }

  /**
   * Replays the deliveries of the filter, in as many requests as that takes.
   *
   * @param {(done: {replayed: number, verdicts: object}) => void} onProgress gets the counts so far after each request
   */
  async replay(onProgress) {
    let query = deliveryQuery(this.filter, Date.now());
    let done = { replayed: 0, verdicts: {} };
    try {
      for (;;) {
        const { replayed, verdicts, resumeFrom } = await this.#api.replayDeliveries(query, { plan: false });
        const sums = Object.entries(verdicts).map(([verdict, number]) => [verdict, number + (done.verdicts[verdict] ?? 0)]);
        done = { replayed: done.replayed + replayed, verdicts: { ...done.verdicts, ...Object.fromEntries(sums) } };
        onProgress(done);
        if (!resumeFrom || resumeFrom === query.from) return;
        query = { ...query, from: resumeFrom };
      }
    } finally {
      this.reload();
    }
  }

  stop() {
    this.#aborted.abort();
  }

  #params() {
    return { ...deliveryQuery(this.filter, Date.now()), limit: PAGE };
  }

  async #load(work) {
    this.#aborted.abort();
    this.#aborted = new AbortController();
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
    if (signal.aborted) return;
    this.isLoading = false;
    this.changed();
  }
}
