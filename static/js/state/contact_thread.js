// Everything said with one contact: the messages of all their conversations, and the calls that they describe.

import { Observable } from "../observable.js";

const PAGE = 60;

export class ContactThread extends Observable {
  contact = null;
  /** @type {object[]} messages, newest first; `call` is the message's call, or null */
  items = [];
  hasMore = false;
  isLoading = true;
  error = null;

  #api;
  #contactId;
  #aborted = new AbortController();
  #messages = new Map();
  #calls = new Map();
  #oldest = new Map(); // conversation id → id of its oldest loaded message, for conversations that have older ones
  #oldestCallId = null;

  constructor(api, contactId, { schedule } = {}) {
    super(schedule);
    this.#api = api;
    this.#contactId = contactId;
  }

  /** Loads the newest messages and keeps those that are loaded already. */
  async refresh() {
    await this.#load(async (signal) => {
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

  /** Loads older messages. */
  async loadMore() {
    await this.#load(async (signal) => {
      await Promise.all([
        this.#loadCalls(this.#oldestCallId, true, signal),
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

  async #load(work) {
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

  // `isOlder`: the page continues the loaded ones, so the next `loadMore` begins after it.
  async #loadMessages(conversationId, before, isOlder, signal) {
    const page = before === null ? { limit: PAGE } : { limit: PAGE, before };
    const messages = await this.#api.messages(conversationId, page, { signal });
    for (const message of messages) this.#messages.set(message.messageId, message);
    if (!isOlder) return;
    if (messages.length < PAGE) this.#oldest.delete(conversationId);
    else this.#oldest.set(conversationId, messages[0].messageId);
  }

  async #loadCalls(before, isOlder, signal) {
    const params = new URLSearchParams({ contactId: this.#contactId, limit: PAGE });
    if (before !== null) params.set("before", before);
    const { calls } = await this.#api.history(params, { signal });
    for (const call of calls) this.#calls.set(call.callId, call);
    if (isOlder) this.#oldestCallId = calls.at(-1)?.callId ?? before;
  }
}
