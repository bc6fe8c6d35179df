import assert from "node:assert/strict";
import { test } from "node:test";

import { comparison, daysOrWeeks, scale, shareComparison, wordsBefore } from "../../static/js/format/figures.js";

test("a figure is compared with the period before in words", () => {
  const week = wordsBefore({ range: "week", startDate: "2026-05-09", endDate: "2026-05-15" });
  assert.equal(comparison(112, 100, week), "12% more than the 7 days before");
  assert.equal(comparison(1, 2, week, ["longer", "shorter"]), "50% shorter than the 7 days before");
  assert.equal(comparison(5000, 100, week), "50 times as much as the 7 days before");
  assert.equal(comparison(1001, 1000, week), "same as the 7 days before");
  assert.equal(comparison(3, 0, week), "none in the 7 days before");
  assert.equal(comparison(0, 0, week), null);
  assert.equal(comparison(null, 1, week), null);
  assert.equal(shareComparison(0.55, 0.5, week), "5 points more than the 7 days before");
  assert.equal(shareComparison(0.5, 0.51, week), "1 point less than the 7 days before");
  assert.equal(shareComparison(0.5, null, week), null);
});

test("days that were chosen are compared with as many", () => {
  assert.equal(wordsBefore({ range: null, startDate: "2026-05-09", endDate: "2026-05-20" }), "the 12 days before");
  assert.equal(wordsBefore({ range: null, startDate: "2026-05-09", endDate: "2026-05-09" }), "the day before");
});

test("a chart has a few round lines up to its highest bar", () => {
  assert.deepEqual(scale(0), [0, 1]);
  assert.deepEqual(scale(3), [0, 1, 2, 3]);
  assert.deepEqual(scale(7), [0, 2, 4, 6, 8]);
  assert.deepEqual(scale(41), [0, 20, 40, 60]);
  for (let max = 1; max < 200_000; max = Math.ceil(max * 1.13)) {
    const lines = scale(max);
    assert.ok(lines.length >= 2 && lines.length <= 5, `${max}: ${lines}`);
    assert.ok(lines.at(-1) >= max && lines.at(-2) < max, `${max}: ${lines}`);
    assert.ok(/^[125]0*$/.test(String(lines[1])), `${max}: ${lines}`);
  }
});

test("many days are shown as weeks, none is lost, and each leads to its days", () => {
  const days = Array.from({ length: 100 }, (_, at) => {
    const date = new Date(Date.UTC(2026, 0, 1 + at)).toISOString();
    return { date: date.slice(0, 10), from: date, count: at };
  });
  const now = Date.UTC(2026, 5, 1);
  const weeks = daysOrWeeks(days, now);
  assert.equal(weeks.length, 15);
  assert.equal(weeks.reduce((sum, week) => sum + week.count, 0), 4950);
  assert.deepEqual([weeks[1].first, weeks[1].last, weeks[1].to], ["2026-01-08", "2026-01-14", "2026-01-15T00:00:00.000Z"]);
  assert.equal(weeks.at(-1).to, null);
  assert.equal(daysOrWeeks(days.slice(0, 30), now).length, 30);
});
