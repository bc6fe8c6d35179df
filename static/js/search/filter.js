// Which calls the reader wants to see: as words in the address bar, as a question to the server, and as a judgement on a
// call that has just arrived. Pure.

export const STATUSES = { completed: "Completed", "no-answer": "No answer", busy: "Busy", failed: "Failed" };
export const DIRECTIONS = { inbound: "Inbound", outbound: "Outbound" };
export const DATES = { today: "Today", yesterday: "Yesterday", week: "Last 7 days", month: "Last 30 days" };

/**
 * @typedef {object} Filter frozen; a field that is absent means any
 * @property {string} [status] @property {string} [direction] @property {string} [agentName] @property {string} [search]
 * @property {string} [date] one of DATES, read at the moment it is used
 * @property {string} [startDate] @property {string} [endDate] days of the reader's zone, "2026-05-15", both included
 * @property {string} [minDuration] @property {string} [maxDuration] seconds, both included
 */

/** @type {Filter} */
export const EVERYTHING = Object.freeze({});

const isDay = (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value));
const isLength = (value) => /^\d{1,7}(\.\d{1,3})?$/.test(value);
const isText = (value) => value.length <= 256 && value.trim() !== "";
const FIELDS = {
  search: isText,
  status: (value) => Object.hasOwn(STATUSES, value),
  direction: (value) => Object.hasOwn(DIRECTIONS, value),
  agentName: isText,
  date: (value) => Object.hasOwn(DATES, value),
  startDate: isDay,
  endDate: isDay,
  minDuration: isLength,
  maxDuration: isLength,
};

/** @param {URLSearchParams} params of an address; what is unknown or makes no sense is left out. */
export function readFilter(params) {
  const known = Object.entries(FIELDS).flatMap(([name, isGood]) => {
    const value = params.get(name);
    return value !== null && isGood(value) ? [[name, value]] : [];
  });
  return known.length === 0 ? EVERYTHING : Object.freeze(Object.fromEntries(known));
}

/** A filter with some fields changed; undefined or "" takes a field out. */
export function changed(filter, change) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...filter, ...change })) if (value) params.set(name, value);
  return readFilter(params);
}

/** The same filter gives the same text, whichever order its fields were set in; "" for everything. */
export function filterText(filter) {
  const params = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) if (filter[name]) params.set(name, filter[name]);
  return params.toString();
}

export const isEverything = (filter) => Object.keys(filter).length === 0;

/** How many choices narrow the view, the search not counted. */
export const choiceCount = (filter) =>
  ["status", "direction", "agentName"].filter((name) => filter[name]).length +
  (filter.date || filter.startDate || filter.endDate ? 1 : 0) +
  (filter.minDuration || filter.maxDuration ? 1 : 0);

// The first moment of a local day, `later` days on: a constructor of parts knows the days on which clocks change.
const dayStart = (day, later = 0) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + later);
const localDay = (text) => new Date(Number(text.slice(0, 4)), Number(text.slice(5, 7)) - 1, Number(text.slice(8, 10)));

/** From and to in milliseconds, `to` excluded; undefined where there is no limit. */
export function span({ date, startDate, endDate }, nowMs) {
  const now = new Date(nowMs);
  const days = { today: [0, 1], yesterday: [-1, 0], week: [-6, 1], month: [-29, 1] }[date];
  if (days) return days.map((later) => dayStart(now, later).getTime());
  return [
    startDate && dayStart(localDay(startDate)).getTime(), //
    endDate && dayStart(localDay(endDate), 1).getTime(),
  ];
}

/** How many calls the list begins with: more than most windows show. */
export const FIRST_PAGE = 50;

/** The filter as the API asks for it, with whatever else is asked. @returns {URLSearchParams} */
export function question(filter, nowMs, others = {}) {
  const params = new URLSearchParams();
  for (const name of ["search", "status", "direction", "agentName", "minDuration", "maxDuration"]) {
    if (filter[name]) params.set(name, filter[name]);
  }
  const [fromMs, toMs] = span(filter, nowMs);
  if (fromMs !== undefined) params.set("startDate", new Date(fromMs).toISOString());
  if (toMs !== undefined) params.set("endDate", new Date(toMs - 1).toISOString()); // the API includes this millisecond
  for (const [name, value] of Object.entries(others)) params.set(name, value);
  return params;
}

/**
 * What a filter says of a call as far as its events have told of it.
 *
 * @returns {"in" | "out" | "open" | "ask"} open: the next event will tell; ask: only its spoken words can tell
 */
export function judge(filter, row, nowMs) {
  const { direction, agentName, startTime, status, duration } = row;
  if (filter.direction && filter.direction !== direction) return "out";
  if (filter.agentName && filter.agentName !== agentName) return "out";
  const [fromMs = -Infinity, toMs = Infinity] = span(filter, nowMs);
  const startMs = Date.parse(startTime);
  if (startMs < fromMs || startMs >= toMs) return "out";
  if (filter.status || filter.minDuration || filter.maxDuration || filter.search) {
    if (status === undefined) return "open";
    if (filter.status && filter.status !== status) return "out";
    if (duration < Number(filter.minDuration ?? 0) || duration > Number(filter.maxDuration ?? Infinity)) return "out";
  }
  return filter.search ? "ask" : "in";
}

/** The choices in words, for a heading or a notice: "Completed, inbound, “crown”". */
export function filterWords(filter) {
  const words = [
    STATUSES[filter.status],
    DIRECTIONS[filter.direction],
    filter.agentName,
    DATES[filter.date],
    filter.startDate && `from ${filter.startDate}`,
    filter.endDate && `to ${filter.endDate}`,
    filter.minDuration && `${filter.minDuration} s or longer`,
    filter.maxDuration && `${filter.maxDuration} s or shorter`,
    filter.search && `“${filter.search}”`,
  ].filter(Boolean);
  return words.length === 0 ? "All calls" : words.join(", ");
}
