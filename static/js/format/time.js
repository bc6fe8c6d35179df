// How times, lengths and numbers are written. Pure: the clock, the locale and the zone come as arguments.

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const UNKNOWN = "–";

/** Seconds → "0:31", "12:05", "1:02:03". */
export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const whole = Math.floor(seconds);
  const pad = (value) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / HOUR_S), Math.floor((whole % HOUR_S) / MINUTE_S), whole % MINUTE_S];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** Seconds → "45 s", "12 min", "3 h 05 min": a sum of lengths. */
export function amount(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const whole = Math.round(seconds);
  if (whole < MINUTE_S) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** Seconds → "31 seconds", "2 minutes 5 seconds": the same length for a reader who hears it. */
export function spokenLength(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "unknown length";
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / HOUR_S), "hour"],
    [Math.floor((whole % HOUR_S) / MINUTE_S), "minute"],
    [whole % MINUTE_S, "second"],
  ].filter(([count]) => count > 0);
  if (parts.length === 0) return "0 seconds";
  return parts.map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}

/** Milliseconds since 1970, or NaN. `value` is the API's "2026-05-15T09:12:34.000Z". */
export function instant(value) {
  return typeof value === "string" ? Date.parse(value) : Number.NaN;
}

/** "just now", "4 min ago", "3 h ago", "Yesterday 14:32", "15 May", "15 May 2025", read at `nowMs`. */
export function relativeTime(value, nowMs, { locale, timeZone } = {}) {
  const thenMs = instant(value);
  if (Number.isNaN(thenMs)) return UNKNOWN;
  const agoS = (nowMs - thenMs) / 1000;
  const on = (options, ms = thenMs) => formatter(locale, { timeZone, ...options }).format(ms);
  if (agoS < -MINUTE_S) return on({ dateStyle: "medium", timeStyle: "short" });
  if (agoS < 45) return "just now";
  if (agoS < HOUR_S) return `${Math.max(1, Math.round(agoS / MINUTE_S))} min ago`;
  const dayOf = (ms) => on({ year: "numeric", month: "numeric", day: "numeric" }, ms);
  if (dayOf(thenMs) === dayOf(nowMs) || agoS < 6 * HOUR_S) return `${Math.floor(agoS / HOUR_S)} h ago`;
  if (agoS < 2 * DAY_S && dayOf(thenMs) === dayOf(nowMs - DAY_S * 1000)) {
    return `Yesterday ${on({ hour: "2-digit", minute: "2-digit" })}`;
  }
  const sameYear = on({ year: "numeric" }) === on({ year: "numeric" }, nowMs);
  return on(sameYear ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", year: "numeric" });
}

/** The exact moment with seconds and zone, in the reader's own locale and zone. */
export function exactTime(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  if (Number.isNaN(ms)) return UNKNOWN;
  return formatter(locale, { timeZone, dateStyle: "full", timeStyle: "long" }).format(ms);
}

/** "15 May 2026, 11:10": the moment without what a reader rarely needs. */
export function shortTime(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  if (Number.isNaN(ms)) return UNKNOWN;
  return formatter(locale, { timeZone, dateStyle: "medium", timeStyle: "short" }).format(ms);
}

/** "14:32", in the reader's zone. */
export function timeOfDay(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  return Number.isNaN(ms) ? UNKNOWN : formatter(locale, { timeZone, hour: "2-digit", minute: "2-digit" }).format(ms);
}

/** "Friday 15 May 2026", in the reader's zone. */
export function dayName(value, { locale, timeZone } = {}) {
  const ms = instant(value);
  if (Number.isNaN(ms)) return UNKNOWN;
  return formatter(locale, { timeZone, weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(ms);
}

const counts = new Intl.NumberFormat("en");

/** 100000 → "100,000". */
export const count = (value) => counts.format(value);

/** "1 call", "1,042 calls". */
export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

const SIZE_UNITS = ["bytes", "KB", "MB", "GB"];

/** Bytes → "512 bytes", "1.4 MB". */
export function size(bytes) {
  if (!Number.isFinite(bytes) || bytes < 0) return UNKNOWN;
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < SIZE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZE_UNITS[unit]}`;
}

// An Intl formatter takes some 50 µs to make; a list asks for the same few over and over.
const formatters = new Map();

function formatter(locale, options) {
  const key = `${locale}${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat(locale, options));
  return formatters.get(key);
}
