// What the reader wants to be told of while looking elsewhere: rules, each a filter with a desktop notification, a sound,
// or both. Kept in this browser.

import { contactLabel, directionWord } from "../format/call.js";
import { filterText, isEverything, readFilter } from "../search/filter.js";
import { Observable } from "../observable.js";
import { callHref } from "../route.js";

const KEY = "tether.notices";
const MAX_RULES = 8;
const MAX_OPEN_CALLS = 200; // calls that have begun and whose end is awaited
const APART_MS = 1_500; // between two sounds or notifications: a burst of calls is one notice

export class Notices extends Observable {
  /** @type {Map<string, {desktop: boolean, sound: boolean}>} by the filter's text */
  rules = new Map();

  #storage;
  #chime;
  #notify;
  #toldAtMs = { desktop: -Infinity, sound: -Infinity };

  /** @param {{storage?: Storage, chime: () => void, notify: (title, options) => void}} parts */
  constructor({ storage = globalThis.localStorage, chime, notify, schedule }) {
    super(schedule);
    this.#storage = storage;
    this.#chime = chime;
    this.#notify = notify;
    this.rules = recall(storage);
  }

  /** What is wanted for one filter. */
  rule(filter) {
    return this.rules.get(filterText(filter)) ?? { desktop: false, sound: false };
  }

  set(filter, change) {
    const key = filterText(filter);
    const rule = { ...this.rule(filter), ...change };
    this.rules.delete(key);
    if (rule.desktop || rule.sound) this.rules.set(key, rule);
    if (this.rules.size > MAX_RULES) this.rules.delete(this.rules.keys().next().value);
    this.#storage.setItem(KEY, JSON.stringify([...this.rules]));
    this.changed();
  }

  /** Tells of the calls that arrive at a desk. @returns {() => void} stops. */
  watch(desk) {
    const begun = new Map();
    return desk.listen(({ event, data }) => {
      if (this.rules.size === 0 || desk.live.status !== "live") return; // what was caught up on is not news
      if (event === "call_initiated") {
        begun.set(data.callId, data);
        if (begun.size > MAX_OPEN_CALLS) begun.delete(begun.keys().next().value);
      } else if (event === "call_ended" && begun.has(data.callId)) {
        const row = { ...begun.get(data.callId), ...data };
        begun.delete(data.callId);
        for (const [text, rule] of [...this.rules]) this.#consider(desk, readFilter(new URLSearchParams(text)), rule, row);
      }
    });
  }

  async #consider(desk, filter, rule, row) {
    // A call whose words cannot be looked into just now is shown in the list all the same.
    const belongs = await desk.belongs(filter, row).catch(() => false);
    if (!belongs) return;
    if (rule.sound && this.#isTime("sound")) this.#chime();
    if (rule.desktop && this.#isTime("desktop")) {
      const body = row.summary || `${directionWord(row)} call`;
      this.#notify(contactLabel(row), { body, tag: row.callId, href: callHref(row.callId, isEverything(filter) ? undefined : filter) });
    }
  }

  #isTime(kind) {
    const nowMs = Date.now();
    if (nowMs - this.#toldAtMs[kind] < APART_MS) return false;
    this.#toldAtMs[kind] = nowMs;
    return true;
  }
}

function recall(storage) {
  try {
    const known = JSON.parse(storage.getItem(KEY)) ?? [];
    return new Map(known.map(([text, { desktop, sound }]) => [String(text), { desktop: desktop === true, sound: sound === true }]));
  } catch {
    return new Map(); // nothing that this version wrote
  }
}
