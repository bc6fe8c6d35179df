// Alerts for calls that arrive while the user looks elsewhere: a desktop notification, a sound, or both, for each filter.
// Kept in this browser.

import { alertText } from "../format/call.js";
import { Observable } from "../observable.js";
import { callHref } from "../route.js";
import { isEmptyFilter, parseFilter, serializeFilter } from "../search/filter.js";

const KEY = "tether.alerts";
const MAX_RULES = 8;
const MAX_STARTED_CALLS = 200; // calls whose `call_ended` has not arrived
const MIN_INTERVAL_MS = 1_500; // between two sounds or notifications, so that a burst of calls is one alert

export class Alerts extends Observable {
  /** @type {Map<string, {desktop: boolean, sound: boolean}>} by serialized filter */
  rules = new Map();

  #storage;
  #playSound;
  #showNotification;
  #lastAtMs = { desktop: -Infinity, sound: -Infinity };

  /** @param {{storage?: Storage, playSound: () => void, showNotification: (title, options) => void}} options */
  constructor({ storage = globalThis.localStorage, playSound, showNotification, schedule }) {
    super(schedule);
    this.#storage = storage;
    this.#playSound = playSound;
    this.#showNotification = showNotification;
    this.rules = load(storage);
  }

  /** The alerts that are on for a filter. */
  rule(filter) {
    return this.rules.get(serializeFilter(filter)) ?? { desktop: false, sound: false };
  }

  set(filter, change) {
    const key = serializeFilter(filter);
    const rule = { ...this.rule(filter), ...change };
    this.rules.delete(key);
    if (rule.desktop || rule.sound) this.rules.set(key, rule);
    if (this.rules.size > MAX_RULES) this.rules.delete(this.rules.keys().next().value);
    this.#storage.setItem(KEY, JSON.stringify([...this.rules]));
    this.changed();
  }

  /** Alerts for the calls that arrive in a feed. @returns {() => void} stops */
  watch(feed) {
    const started = new Map();
    return feed.listen(({ event, data }) => {
      if (event === "contact_updated") {
        const { contactId, contactName } = data;
        for (const [callId, call] of started) if (call.contactId === contactId) started.set(callId, { ...call, contactName });
      }
      if (event === "call_deleted") started.delete(data.callId);
      if (this.rules.size === 0 || feed.live.status !== "live") return; // no alerts while catching up
      if (event === "call_initiated" && data.historic !== true) {
        started.set(data.callId, data);
        if (started.size > MAX_STARTED_CALLS) started.delete(started.keys().next().value);
      } else if (event === "call_ended" && started.has(data.callId)) {
        const row = { ...started.get(data.callId), ...data };
        started.delete(data.callId);
        for (const [key, rule] of [...this.rules]) this.#alert(feed, parseFilter(new URLSearchParams(key)), rule, row);
      }
    });
  }

  async #alert(feed, filter, rule, row) {
    // If its transcript cannot be fetched, the call gives no alert; the list shows it after the next reload.
    const isMatch = await feed.matches(filter, row).catch(() => false);
    if (!isMatch) return;
    if (rule.sound && this.#isDue("sound")) this.#playSound();
    if (rule.desktop && this.#isDue("desktop")) {
      const { title, body } = alertText(row);
      const href = callHref(row.callId, isEmptyFilter(filter) ? undefined : filter);
      this.#showNotification(title, { body, tag: row.callId, href });
    }
  }

  #isDue(kind) {
    const nowMs = Date.now();
    if (nowMs - this.#lastAtMs[kind] < MIN_INTERVAL_MS) return false;
    this.#lastAtMs[kind] = nowMs;
    return true;
  }
}

function load(storage) {
  try {
    const stored = JSON.parse(storage.getItem(KEY)) ?? [];
    return new Map(stored.map(([key, { desktop, sound }]) => [String(key), { desktop: desktop === true, sound: sound === true }]));
  } catch {
    return new Map(); // not in the format of this version
  }
}
