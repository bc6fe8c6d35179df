// Everything that was said with one contact: the messages of all their conversations, with the calls that they tell of.

import { Observable } from "../observable.js";

const PAGE = 60;

export class Thread extends Observable {
  contact = null;
  /** @type {object[]} messages, the latest first; one of a call has it as `call` */
  items = [];
  hasMore = false;
  isLoading = true;
  error = null;

  #api;
  #contactId;
  #aborted = new AbortController();
  #messages = new Map();
  #calls = new Map();
  #oldest = new Map(); // conversation id → id of the oldest message that is known, for those that have older ones
  #lastCallId = null;

  constructor(api, contactId, { schedule } = {}) {
    super(schedule);
    this.#api = api;
    this.#contactId = contactId;
  }

  /** Loads the latest, or again what is new. What is known stays. */
  async refresh() {
    await this.#during(async (signal) => {
      const [contact, conversations] = await Promise.all([
        this.#api.contact(this.#contactId, { signal }),
        this.#api.conversations(this.#contactId, { signal }),
      ]);
      this.contact = contact;
      const isFirst = this.#messages.size === 0;
      await Promise.all([
        this.#loadCalls(null, isFirst, signal),
        ...conversations.map(({ conversationId }) => this.#loadMessages(conversationId, null, isFirst, signal)),
      ]);
    });
  }

  /** Loads what was before. */
  async loadMore() {
    await this.#during(async (signal) => {
      await Promise.all([
        this.#loadCalls(this.#lastCallId, true, signal),
        ...[...this.#oldest].map(([conversationId, before]) => this.#loadMessages(conversationId, before, true, signal)),
      ]);
    });
  }

  async rename(name) {
    this.contact = { ...this.contact, ...(await this.#api.renameContact(this.#contactId, name)) };
    this.changed();
  }

  stop() {
    this.#aborted.abort();
  }

  async #during(work) {
    const { signal } = this.#aborted;
    this.isLoading = true;
    this.error = null;
    this.changed();
    try {
      await work(signal);
      this.items = [...this.#messages.values()]
        .map((message) => ({ ...message, call: this.#calls.get(message.callId) ?? null }))
        .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.messageId.localeCompare(a.messageId));
      this.hasMore = this.#oldest.size > 0;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.isLoading = false;
    this.changed();
  }

  async #loadMessages(conversationId, before, movesOn, signal) {
    const page = before === null ? { limit: PAGE } : { limit: PAGE, before };
    const messages = await this.#api.messages(conversationId, page, { signal });
    for (const message of messages) this.#messages.set(message.messageId, message);
    if (!movesOn) return;
    if (messages.length < PAGE) this.#oldest.delete(conversationId);
    else this.#oldest.set(conversationId, messages[0].messageId);
  }

  async #loadCalls(before, movesOn, signal) {
    const params = new URLSearchParams({ contactId: this.#contactId, limit: PAGE });
    if (before !== null) params.set("before", before);
    const { calls } = await this.#api.history(params, { signal });
    for (const call of calls) this.#calls.set(call.callId, call);
    if (movesOn) this.#lastCallId = calls.at(-1)?.callId ?? before;
  }
}
