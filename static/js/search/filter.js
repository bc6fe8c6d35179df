// The filter of the call list: read from and written to the address, sent to the server, and applied to calls that arrive.
// Pure.

export const STATUSES = { completed: "Completed", "no-answer": "No answer", busy: "Busy", failed: "Failed" };
export const DIRECTIONS = { inbound: "Inbound", outbound: "Outbound" };
export const DATES = { today: "Today", yesterday: "Yesterday", week: "Last 7 days", month: "Last 30 days", thisMonth: "This month" };

/**
 * @typedef {object} Filter frozen; an absent field matches any call
 * @property {string} [status] @property {string} [direction] @property {string} [agentName] @property {string} [search]
 * @property {string} [date] a key of DATES, relative to the time of use
 * @property {string} [startDate] @property {string} [endDate] days in the user's time zone, "2026-05-15", both inclusive
 * @property {string} [from] @property {string} [to] instants in UTC, "2026-05-15T09:10:00Z", `to` exclusive; instead of days
 * @property {string} [hour] "0" to "23": of each day, in `zone`
 * @property {string} [zone] an IANA time zone; absent: the user's
 * @property {string} [minDuration] @property {string} [maxDuration] seconds, both inclusive
 */

/** @type {Filter} */
export const NO_FILTER = Object.freeze({});

/** How many calls the first page of the list has: more than most windows show. */
export const FIRST_PAGE = 50;

const isDay = (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value));
const isInstant = (value) => /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/.test(value) && !Number.isNaN(Date.parse(value));
const isHour = (value) => /^(1?\d|2[0-3])$/.test(value);
const isDuration = (value) => /^\d{1,7}(\.\d{1,3})?$/.test(value);
const isText = (value) => value.length <= 512 && value.trim() !== "";

// A formatter of the hour in a zone; throws if the zone does not exist.
const clocks = new Map();
function clockIn(zone) {
  if (!clocks.has(zone)) clocks.set(zone, new Intl.DateTimeFormat("en", { hour: "numeric", hourCycle: "h23", timeZone: zone }));
  return clocks.get(zone);
}
function isZone(value) {
  try {
    return clockIn(value) !== null;
  } catch {
    return false;
  }
}

const FIELDS = {
  search: isText,
  status: (value) => Object.hasOwn(STATUSES, value),
  direction: (value) => Object.hasOwn(DIRECTIONS, value),
  agentName: isText,
  date: (value) => Object.hasOwn(DATES, value),
  startDate: isDay,
  endDate: isDay,
  from: isInstant,
  to: isInstant,
  hour: isHour,
  zone: isZone,
  minDuration: isDuration,
  maxDuration: isDuration,
};

const DAYS = ["date", "startDate", "endDate"];
const INSTANTS = ["from", "to", "hour", "zone"]; // set by links alone

const hasBothEnds = ({ date, startDate, endDate, from, to }) => Boolean(date || (startDate && endDate && !from && !to) || (from && to));

/** @param {URLSearchParams} params of an address; unknown names and invalid values are ignored. */
export function parseFilter(params) {
  const valid = Object.entries(FIELDS).flatMap(([name, isValid]) => {
    const value = params.get(name);
    return value !== null && isValid(value) ? [[name, value]] : [];
  });
  const filter = Object.fromEntries(valid);
  // The server finds an hour of the day among some days only.
  if (!(filter.hour && hasBothEnds(filter))) for (const name of ["hour", "zone"]) delete filter[name];
  return Object.keys(filter).length === 0 ? NO_FILTER : Object.freeze(filter);
}

/** Returns a filter with some fields changed; undefined or "" removes a field. Days take the place of instants. */
export function updateFilter(filter, change) {
  const params = new URLSearchParams();
  const replaced = DAYS.some((name) => Object.hasOwn(change, name)) ? INSTANTS : [];
  const kept = Object.entries(filter).filter(([name]) => !replaced.includes(name));
  for (const [name, value] of Object.entries({ ...Object.fromEntries(kept), ...change })) if (value) params.set(name, value);
  return parseFilter(params);
}

/** The filter as a query string, in a fixed order, so that it can serve as a key; "" for no filter. */
export function serializeFilter(filter) {
  const params = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) if (filter[name]) params.set(name, filter[name]);
  return params.toString();
}

export const isEmptyFilter = (filter) => Object.keys(filter).length === 0;

// The start of a local day plus `offset` days. The Date constructor handles days on which the clocks change.
const dayStart = (day, offset = 0) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + offset);
const localDay = (text) => new Date(Number(text.slice(0, 4)), Number(text.slice(5, 7)) - 1, Number(text.slice(8, 10)));

/** The filter's dates as [from, to] in milliseconds, `to` exclusive; undefined where there is no limit. */
export function dateRange({ date, startDate, endDate, from, to }, nowMs) {
  if (from || to) return [from && Date.parse(from), to && Date.parse(to)];
  const now = new Date(nowMs);
  const days = { today: [0, 1], yesterday: [-1, 0], week: [-6, 1], month: [-29, 1], thisMonth: [1 - now.getDate(), 1] }[date];
  if (days) return days.map((offset) => dayStart(now, offset).getTime());
  return [
    startDate && dayStart(localDay(startDate)).getTime(), //
    endDate && dayStart(localDay(endDate), 1).getTime(),
  ];
}

/** The parameters of `GET /api/calls/history` for a filter, and `others`. @returns {URLSearchParams} */
export function historyParams(filter, nowMs, others = {}) {
  const params = new URLSearchParams();
  for (const name of ["search", "status", "direction", "agentName", "minDuration", "maxDuration"]) {
    if (filter[name]) params.set(name, filter[name]);
  }
  const [fromMs, toMs] = dateRange(filter, nowMs);
  if (fromMs !== undefined) params.set("startDate", new Date(fromMs).toISOString());
  if (toMs !== undefined) params.set("endDate", new Date(toMs - 1).toISOString()); // the API's end is inclusive
  if (filter.hour) {
    params.set("hour", filter.hour);
    params.set("timeZone", filter.zone ?? userZone());
  }
  for (const [name, value] of Object.entries(others)) params.set(name, value);
  return params;
}

const userZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
const hourIn = (zone, ms) => Number(clockIn(zone).format(ms));

/**
 * Matches a call against a filter, as far as the events that have arrived describe the call.
 *
 * @returns {"match" | "no-match" | "incomplete" | "search"} incomplete: a later event will decide; search: only the
 *     transcript can decide
 */
export function matchFilter(filter, row, nowMs) {
  const { direction, agentName, startTime, status, duration } = row;
  if (filter.direction && filter.direction !== direction) return "no-match";
  if (filter.agentName && filter.agentName !== agentName) return "no-match";
  const [fromMs = -Infinity, toMs = Infinity] = dateRange(filter, nowMs);
  const startMs = Date.parse(startTime);
  if (startMs < fromMs || startMs >= toMs) return "no-match";
  if (filter.hour && Number(filter.hour) !== hourIn(filter.zone, startMs)) return "no-match";
  if (filter.status || filter.minDuration || filter.maxDuration || filter.search) {
    if (status === undefined) return "incomplete";
    if (filter.status && filter.status !== status) return "no-match";
    if (duration < Number(filter.minDuration ?? 0) || duration > Number(filter.maxDuration ?? Infinity)) return "no-match";
  }
  return filter.search ? "search" : "match";
}
