import assert from "node:assert/strict";
import { test } from "node:test";

import { pageLocale } from "../../static/js/format/locale.js";
import { age, clock, dayName, exactTime, isAhead, relativeTime, shortDay, shortTime, spokenDuration, timeAhead, timeOfDay, totalTime } from "../../static/js/format/time.js";

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

test("words are English, and the order and the clock those of the region", () => {
  const cases = [
    ["en-US", "Sun, Mar 1", "9:05 AM"],
    ["en", "Sun, Mar 1", "9:05 AM"],
    ["en-GB", "Sun 1 Mar", "09:05"],
    ["en-CA", "Sun, Mar 1", "9:05 a.m."],
    ["de-DE", "Sun 1 Mar", "09:05"],
    ["sv", "Sun 1 Mar", "09:05"],
    ["ja-JP", "Sun, Mar 1", "09:05"],
    ["ar-EG", "Sun 1 Mar", "9:05 am"],
    ["fa-IR", "Sun, Mar 1", "09:05"],
    ["ar-EG-u-nu-arab-ca-islamic", "Sun 1 Mar", "9:05 am"],
    ["en-GB-u-hc-h12", "Sun 1 Mar", "9:05 am"],
    ["en-US@posix", "Sun, Mar 1", "9:05 AM"],
    [undefined, "Sun, Mar 1", "9:05 AM"],
  ];
  for (const [language, day, time] of cases) {
    const there = { locale: pageLocale(language), timeZone: "UTC" };
    const plain = (text) => text.replaceAll("\u202f", " ").replace(/^Sun,? (?=1)/, "Sun ");
    assert.equal(plain(dayName("2026-03-01T09:05:00.000Z", Date.parse(NOW), there)), day, language);
    assert.equal(plain(timeOfDay("2026-03-01T09:05:00.000Z", there)), time, language);
  }
});

test("a day has a name of its own as long as it is near", () => {
  const named = (value) => dayName(value, Date.parse(NOW), BERLIN).replace(",", "");
  assert.equal(named("2026-05-14T22:00:00.000Z"), "Today");
  assert.equal(named("2026-05-14T21:59:59.000Z"), "Yesterday");
  assert.equal(named("2026-05-13T21:59:59.000Z"), "Wed 13 May");
  assert.equal(named("2026-05-16T10:00:00.000Z"), "Sat 16 May");
  assert.equal(named("2025-05-16T10:00:00.000Z"), "Fri 16 May 2025");
  assert.equal(named("soon"), "–");
  assert.equal(shortDay("2025-05-16", Date.parse(NOW), BERLIN), "16 May 2025");
});

test("an age has no time of day", () => {
  assert.equal(age("2026-05-14T21:30:00.000Z", Date.parse(NOW), BERLIN), "Yesterday");
  assert.equal(age("2026-05-15T09:56:00.000Z", Date.parse(NOW), BERLIN), "4 min ago");
});

test("a start ahead says how far, or when", () => {
  const cases = [
    ["2026-05-15T10:12:00.000Z", "in 12 min"],
    ["2026-05-15T11:30:00.000Z", "in 1 h"],
    ["2026-05-18T10:00:00.000Z", "18 May 12:00"],
    ["2099-05-18T10:00:00.000Z", "18 May 2099"],
  ];
  for (const [value, text] of cases) {
    assert.ok(isAhead(value, Date.parse(NOW)));
    assert.equal(timeAhead(value, Date.parse(NOW), BERLIN), text);
  }
  for (const value of ["2026-05-15T10:00:59.000Z", NOW, "2026-05-14T10:00:00.000Z", "soon"]) assert.ok(!isAhead(value, Date.parse(NOW)));
});
