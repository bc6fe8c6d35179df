// Formats times and durations. Pure: the current time is an argument, and so may be the locale and the time zone.

import { LOCALE } from "./locale.js";
import { count } from "./number.js";

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const UNKNOWN = "–";
const YESTERDAY = "Yesterday";
// "09:05", but "9:05 AM": see `pageLocale`.
const time = (locale = LOCALE) => ({ hour: locale.endsWith("h12") ? "numeric" : "2-digit", minute: "2-digit" });

/** Seconds → "0:31", "12:05", "1:02:03". */
export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const whole = Math.floor(seconds);
  const pad = (value) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / HOUR_S), Math.floor((whole % HOUR_S) / MINUTE_S), whole % MINUTE_S];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** Seconds → "45 s", "12 min", "3 h 05 min": a total. */
export function totalTime(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const whole = Math.round(seconds);
  if (whole < MINUTE_S) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${count(Math.floor(minutes / 60))} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** Seconds → "31 seconds", "2 minutes 5 seconds": for screen readers. */
export function spokenDuration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "unknown duration";
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / HOUR_S), "hour"],
    [Math.floor((whole % HOUR_S) / MINUTE_S), "minute"],
    [whole % MINUTE_S, "second"],
  ].filter(([count]) => count > 0);
  if (parts.length === 0) return "0 seconds";
  return parts.map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}

/** The API's "2026-05-15T09:12:34.000Z" → milliseconds since 1970, or NaN. */
export function instant(value) {
  return typeof value === "string" ? Date.parse(value) : Number.NaN;
}

/** "in 2 h", "just now", "4 min ago", "3 h ago", "Yesterday", "15 May", "15 May 2025", relative to `nowMs`. */
export function age(value, nowMs, { locale, timeZone } = {}) {
  const thenMs = instant(value);
  if (Number.isNaN(thenMs)) return UNKNOWN;
  const agoS = (nowMs - thenMs) / 1000;
  const on = (options, ms = thenMs) => formatter(locale, { timeZone, ...options }).format(ms);
  if (agoS > -MINUTE_S && agoS < 45) return "just now";
  if (agoS < 0 && agoS > -HOUR_S) return `in ${Math.round(-agoS / MINUTE_S)} min`;
  if (agoS < 0 && agoS > -DAY_S) return `in ${Math.floor(-agoS / HOUR_S)} h`;
  if (agoS >= 0 && agoS < HOUR_S) return `${Math.max(1, Math.round(agoS / MINUTE_S))} min ago`;
  const dayOf = (ms) => on({ year: "numeric", month: "numeric", day: "numeric" }, ms);
  if (agoS >= 0 && (dayOf(thenMs) === dayOf(nowMs) || agoS < 6 * HOUR_S)) return `${Math.floor(agoS / HOUR_S)} h ago`;
  if (agoS >= 0 && agoS < 2 * DAY_S && dayOf(thenMs) === dayOf(nowMs - DAY_S * 1000)) return YESTERDAY;
  return shortDay(value, nowMs, { locale, timeZone });
}

/** Like `age`, but "Yesterday 14:32". */
export function relativeTime(value, nowMs, options) {
  const text = age(value, nowMs, options);
  return text === YESTERDAY ? `${text} ${timeOfDay(value, options)}` : text;
}

/** True for a time so far ahead that clocks which differ are no reason for it. */
export const isAhead = (value, nowMs) => instant(value) - nowMs >= MINUTE_S * 1000;

/** A time ahead: "in 5 h", "2 Dec 16:47", "2 Dec 2099". */
export function timeAhead(value, nowMs, options) {
  const text = age(value, nowMs, options);
  const isFar = instant(value) - nowMs >= DAY_S * 1000;
  return isFar && text === shortDay(value, instant(value), options) ? `${text} ${timeOfDay(value, options)}` : text;
}

/** Date and time with seconds and time zone. */
export function exactTime(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  if (Number.isNaN(ms)) return UNKNOWN;
  return formatter(locale, { timeZone, dateStyle: "full", timeStyle: "long" }).format(ms);
}

/** "15 May, 11:10"; "15 May 2025, 11:10" if the year is not that of `nowMs`. */
export const shortTime = (value, nowMs, options) =>
  ofYear(value, nowMs, { month: "short", day: "numeric", ...time(options?.locale) }, options);

/** "15 May"; "15 May 2025" if the year is not that of `nowMs`. */
export const shortDay = (value, nowMs, options) => ofYear(value, nowMs, { month: "short", day: "numeric" }, options);

/** The day of a heading: "Today", "Yesterday", "Fri, 15 May". */
export function dayName(value, nowMs, options) {
  const dayOf = (ms) => formatter(options?.locale, { timeZone: options?.timeZone, dateStyle: "short" }).format(ms);
  const day = Number.isNaN(instant(value)) ? null : dayOf(instant(value));
  if (day === dayOf(nowMs)) return "Today";
  if (day === dayOf(nowMs - DAY_S * 1000)) return YESTERDAY;
  return ofYear(value, nowMs, { weekday: "short", month: "short", day: "numeric" }, options);
}

/** "14:32", or "2:32 PM" where clocks have twelve hours. */
export function timeOfDay(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  return Number.isNaN(ms) ? UNKNOWN : formatter(locale, { timeZone, ...time(locale) }).format(ms);
}

function ofYear(value, nowMs, parts, { locale, timeZone } = {}) {
  const ms = instant(value);
  if (Number.isNaN(ms)) return UNKNOWN;
  const yearOf = (at) => formatter(locale, { timeZone, year: "numeric" }).format(at);
  return formatter(locale, { timeZone, ...parts, year: yearOf(ms) === yearOf(nowMs) ? undefined : "numeric" }).format(ms);
}

// Creating an Intl formatter takes about 50 µs, and a list uses the same few again and again.
const formatters = new Map();

function formatter(locale = LOCALE, options) {
  const key = `${locale}${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat(locale, options));
  return formatters.get(key);
}
