// Figures in words: what a period is called, how it compares with the one before, and the scale of a chart. Pure.

import { count } from "./number.js";
import { shortDay } from "./time.js";

const BEFORE = {
  today: "yesterday by this time",
  yesterday: "the day before",
  week: "the 7 days before",
  month: "the 30 days before",
  thisMonth: "this part of last month",
};
const DAY_MS = 86_400_000;
const WEEKLY_FROM_DAYS = 93; // more bars than that cannot be told apart
const MAX_LINES = 5;
const MANY_TIMES = 10; // as much as before, from where no percentage is said

/** What a period is compared with: "the 7 days before". */
export function wordsBefore({ range, startDate, endDate }) {
  const days = Math.round((Date.parse(endDate) - Date.parse(startDate)) / DAY_MS) + 1;
  return BEFORE[range] ?? (days === 1 ? BEFORE.yesterday : `the ${days} days before`);
}

/**
 * "12% more than the 7 days before", "14 times as many as the 7 days before". Null if there is nothing to compare.
 *
 * @param {string[]} words for a larger and for a smaller value, and for one that is a multiple
 */
export function comparison(value, before, wordsOfBefore, [more, less, as] = ["more", "less", "as much"]) {
  if (value === null || before === null) return null;
  if (before === 0) return value === 0 ? null : `none in ${wordsOfBefore}`;
  if (value / before >= MANY_TIMES) return `${count(Math.round(value / before))} times ${as} as ${wordsOfBefore}`;
  const change = Math.round((value / before - 1) * 100);
  return change === 0 ? `same as ${wordsOfBefore}` : `${count(Math.abs(change))}% ${change > 0 ? more : less} than ${wordsOfBefore}`;
}

/** The comparison of two shares, in percentage points. */
export function shareComparison(share, before, wordsOfBefore) {
  if (share === null || before === null) return null;
  const points = Math.round(share * 100) - Math.round(before * 100);
  if (points === 0) return `same as ${wordsOfBefore}`;
  return `${Math.abs(points)} ${Math.abs(points) === 1 ? "point" : "points"} ${points > 0 ? "more" : "less"} than ${wordsOfBefore}`;
}

/** The values at which a chart has lines: round ones from 0 up to `max` or more. */
export function scale(max) {
  if (max <= 0) return [0, 1];
  let step = 1;
  for (let power = 1; max / step > MAX_LINES - 1; power *= 10) {
    step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => max / one <= MAX_LINES - 1) ?? step * 10;
  }
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, line) => line * step);
}

/** "5 May"; a date has no time zone: it is parsed as one in UTC. */
export const dayLabel = (date, nowMs) => shortDay(date, nowMs, { timeZone: "UTC" });

/** The days of a period, or its weeks if there are many: [{label, count, first, last, from, to}], `to` null for the last one. */
export function daysOrWeeks(perDay, nowMs) {
  const length = perDay.length >= WEEKLY_FROM_DAYS ? 7 : 1;
  const pieces = [];
  for (let at = 0; at < perDay.length; at += length) {
    const days = perDay.slice(at, at + length);
    const [first, last] = [days[0].date, days.at(-1).date];
    pieces.push({
      label: length === 1 ? dayLabel(first, nowMs) : `${dayLabel(first, nowMs)} – ${dayLabel(last, nowMs)}`,
      count: days.reduce((sum, day) => sum + day.count, 0),
      ...{ first, last, from: days[0].from, to: perDay[at + length]?.from ?? null },
    });
  }
  return pieces;
}
