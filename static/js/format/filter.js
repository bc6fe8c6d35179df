// The filter of the list in words. Pure.

import { DATES, DIRECTIONS, STATUSES } from "../search/filter.js";
import { shortDay, shortTime } from "./time.js";

/** Ranges of durations to choose from, "<min>-<max>" in seconds → in words. */
export const DURATIONS = {
  "0-30": "Up to 30 s",
  "30-120": "30 s to 2 min",
  "120-600": "2 to 10 min",
  "600-": "10 min or more",
};

/** The key of a filter's range of durations, "" without one. */
export function durationKey({ minDuration = "", maxDuration = "" }) {
  return minDuration || maxDuration ? `${minDuration || 0}-${maxDuration}` : "";
}

function durationText(filter) {
  const [min, max] = durationKey(filter).split("-");
  return DURATIONS[`${min}-${max}`] ?? (max ? `${min} to ${max} s` : `${min} s or more`);
}

const DAY = { timeZone: "UTC" }; // a day has no time zone: it is parsed as one in UTC

/**
 * What a filter asks for, but for the search: each part in words, and the fields that make it.
 *
 * @param {import("../search/filter.js").Filter} filter
 * @returns {{text: string, fields: string[]}[]}
 */
export function filterParts(filter, nowMs) {
  const { status, direction, agentName, date, startDate, endDate, from, to, hour, zone } = filter;
  const rest = hour ? [] : ["zone"];
  const parts = [
    status && [STATUSES[status], "status"],
    direction && [DIRECTIONS[direction], "direction"],
    agentName && [agentName, "agentName"],
    date && [DATES[date], "date"],
    startDate && startDate === endDate && [shortDay(startDate, nowMs, DAY), "startDate", "endDate"],
    startDate && startDate !== endDate && [`From ${shortDay(startDate, nowMs, DAY)}`, "startDate"],
    endDate && startDate !== endDate && [`Until ${shortDay(endDate, nowMs, DAY)}`, "endDate"],
    from && [`From ${shortTime(from, nowMs)}`, "from", ...rest],
    to && [`Before ${shortTime(to, nowMs)}`, "to", ...rest],
    hour && [`${hour}:00 to ${hour}:59${zone ? ` in ${zone.replaceAll("_", " ")}` : ""}`, "hour", "zone"],
    durationKey(filter) && [durationText(filter), "minDuration", "maxDuration"],
  ];
  return parts.filter(Boolean).map(([text, ...fields]) => ({ text, fields }));
}

/** The filter in words: "No answer, Inbound, “crown”". */
export function describeFilter(filter, nowMs) {
  const words = filterParts(filter, nowMs).map(({ text }) => text);
  if (filter.search) words.push(`“${filter.search}”`);
  return words.length === 0 ? "All calls" : words.join(", ");
}
