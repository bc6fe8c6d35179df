// The filter of the call list: read from and written to the address, sent to the server, and applied to calls that arrive.
// Pure.

export const STATUSES = { completed: "Completed", "no-answer": "No answer", busy: "Busy", failed: "Failed" };
export const DIRECTIONS = { inbound: "Inbound", outbound: "Outbound" };
export const DATES = { today: "Today", yesterday: "Yesterday", week: "Last 7 days", month: "Last 30 days" };

/**
 * @typedef {object} Filter frozen; an absent field matches any call
 * @property {string} [status] @property {string} [direction] @property {string} [agentName] @property {string} [search]
 * @property {string} [date] a key of DATES, relative to the time of use
 * @property {string} [startDate] @property {string} [endDate] days in the user's time zone, "2026-05-15", both inclusive
 * @property {string} [minDuration] @property {string} [maxDuration] seconds, both inclusive
 */

/** @type {Filter} */
export const NO_FILTER = Object.freeze({});

/** How many calls the first page of the list has: more than most windows show. */
export const FIRST_PAGE = 50;

const isDay = (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value));
const isDuration = (value) => /^\d{1,7}(\.\d{1,3})?$/.test(value);
const isText = (value) => value.length <= 256 && value.trim() !== "";
const FIELDS = {
  search: isText,
  status: (value) => Object.hasOwn(STATUSES, value),
  direction: (value) => Object.hasOwn(DIRECTIONS, value),
  agentName: isText,
  date: (value) => Object.hasOwn(DATES, value),
  startDate: isDay,
  endDate: isDay,
  minDuration: isDuration,
  maxDuration: isDuration,
};

/** @param {URLSearchParams} params of an address; unknown names and invalid values are ignored. */
export function parseFilter(params) {
  const valid = Object.entries(FIELDS).flatMap(([name, isValid]) => {
    const value = params.get(name);
    return value !== null && isValid(value) ? [[name, value]] : [];
  });
  return valid.length === 0 ? NO_FILTER : Object.freeze(Object.fromEntries(valid));
}

/** Returns a filter with some fields changed; undefined or "" removes a field. */
export function updateFilter(filter, change) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...filter, ...change })) if (value) params.set(name, value);
  return parseFilter(params);
}

/** The filter as a query string, in a fixed order, so that it can serve as a key; "" for no filter. */
export function serializeFilter(filter) {
  const params = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) if (filter[name]) params.set(name, filter[name]);
  return params.toString();
}

export const isEmptyFilter = (filter) => Object.keys(filter).length === 0;

/** How many filters are set, not counting the search. */
export const activeCount = (filter) =>
  ["status", "direction", "agentName"].filter((name) => filter[name]).length +
  (filter.date || filter.startDate || filter.endDate ? 1 : 0) +
  (filter.minDuration || filter.maxDuration ? 1 : 0);

// The start of a local day plus `offset` days. The Date constructor handles days on which the clocks change.
const dayStart = (day, offset = 0) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + offset);
const localDay = (text) => new Date(Number(text.slice(0, 4)), Number(text.slice(5, 7)) - 1, Number(text.slice(8, 10)));

/** The filter's dates as [from, to] in milliseconds, `to` exclusive; undefined where there is no limit. */
export function dateRange({ date, startDate, endDate }, nowMs) {
  const now = new Date(nowMs);
  const days = { today: [0, 1], yesterday: [-1, 0], week: [-6, 1], month: [-29, 1] }[date];
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
  for (const [name, value] of Object.entries(others)) params.set(name, value);
  return params;
}

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
  if (filter.status || filter.minDuration || filter.maxDuration || filter.search) {
    if (status === undefined) return "incomplete";
    if (filter.status && filter.status !== status) return "no-match";
    if (duration < Number(filter.minDuration ?? 0) || duration > Number(filter.maxDuration ?? Infinity)) return "no-match";
  }
  return filter.search ? "search" : "match";
}

/** The filter in words: "No answer, Inbound, “crown”". */
export function describeFilter(filter) {
  const words = [
    STATUSES[filter.status],
    DIRECTIONS[filter.direction],
    filter.agentName,
    DATES[filter.date],
    filter.startDate && `from ${filter.startDate}`,
    filter.endDate && `until ${filter.endDate}`,
    filter.minDuration && `at least ${filter.minDuration} s`,
    filter.maxDuration && `at most ${filter.maxDuration} s`,
    filter.search && `“${filter.search}”`,
  ].filter(Boolean);
  return words.length === 0 ? "All calls" : words.join(", ");
}
