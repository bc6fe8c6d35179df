import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, exactTime, relativeTime, shortTime, spokenDuration, totalTime } from "../../static/js/format/time.js";

const BERLIN = { locale: "en-GB", timeZone: "Europe/Berlin" };
const NOW = "2026-05-15T10:00:00.000Z"; // noon in Berlin
const at = (value) => relativeTime(value, Date.parse(NOW), BERLIN);

test("a duration is written as on a clock", () => {
  const cases = [
    [0, "0:00"],
    [31.3, "0:31"],
    [59.99, "0:59"],
    [60, "1:00"],
    [754, "12:34"],
    [3723, "1:02:03"],
    [360000, "100:00:00"],
  ];
  for (const [seconds, text] of cases) assert.equal(clock(seconds), text);
});

test("an unknown duration is written as unknown", () => {
  for (const value of [null, undefined, Number.NaN, Infinity, -1, "12"]) {
    assert.equal(clock(value), "–");
    assert.equal(spokenDuration(value), "unknown duration");
  }
});

test("a duration is spoken in words", () => {
  assert.equal(spokenDuration(0), "0 seconds");
  assert.equal(spokenDuration(1), "1 second");
  assert.equal(spokenDuration(125), "2 minutes 5 seconds");
  assert.equal(spokenDuration(3600), "1 hour");
});

test("a time is relative to now", () => {
  const cases = [
    ["2026-05-15T09:59:40.000Z", "just now"],
    ["2026-05-15T10:00:20.000Z", "just now"], // a server's clock may be ahead
    ["2026-05-15T09:59:00.000Z", "1 min ago"],
    ["2026-05-15T09:56:00.000Z", "4 min ago"],
    ["2026-05-15T09:00:00.000Z", "1 h ago"],
    ["2026-05-14T22:30:00.000Z", "11 h ago"], // 00:30 in Berlin: today
    ["2026-05-14T21:30:00.000Z", "Yesterday 23:30"],
    ["2026-05-13T21:30:00.000Z", "13 May"],
    ["2025-12-31T10:00:00.000Z", "31 Dec 2025"],
    ["2026-05-16T10:00:00.000Z", "16 May"],
  ];
  for (const [value, text] of cases) assert.equal(at(value), text, value);
});

test("just after midnight an hour ago is still an hour ago", () => {
  assert.equal(relativeTime("2026-05-14T21:20:00.000Z", Date.parse("2026-05-14T22:30:00.000Z"), BERLIN), "1 h ago");
});

test("a time ahead is short, too", () => {
  const cases = [
    ["2026-05-15T10:00:40.000Z", "just now"],
    ["2026-05-15T10:05:00.000Z", "in 5 min"],
    ["2026-05-15T11:30:00.000Z", "in 1 h"],
    ["2026-05-16T09:59:00.000Z", "in 23 h"],
    ["2026-05-18T10:00:00.000Z", "18 May"],
    ["2027-05-18T10:00:00.000Z", "18 May 2027"],
  ];
  for (const [time, text] of cases) assert.equal(at(time), text);
});

test("an invalid time is unknown", () => {
  for (const value of [null, undefined, "", "soon", 17]) {
    assert.equal(at(value), "–");
    assert.equal(exactTime(value, BERLIN), "–");
  }
});

test("the exact time has day, second and time zone", () => {
  assert.match(exactTime("2026-05-15T09:12:34.000Z", BERLIN), /^Friday,? 15 May 2026.* 11:12:34 CEST$/);
});

test("a short time has a year only if it is not this year", () => {
  assert.equal(shortTime("2026-03-01T09:12:34.000Z", Date.parse(NOW), BERLIN), "1 Mar, 10:12");
  assert.equal(shortTime("2025-12-31T10:00:00.000Z", Date.parse(NOW), BERLIN), "31 Dec 2025, 11:00");
  assert.equal(shortTime("soon", Date.parse(NOW), BERLIN), "–");
});

test("a total is written in its largest units", () => {
  const cases = [
    [0, "0 s"],
    [59.4, "59 s"],
    [60, "1 min"],
    [3_599, "1 h 00 min"],
    [12_673.6, "3 h 31 min"],
    [154_000_000, "42,777 h 47 min"],
    [Number.NaN, "–"],
  ];
  for (const [seconds, text] of cases) assert.equal(totalTime(seconds), text);
});
