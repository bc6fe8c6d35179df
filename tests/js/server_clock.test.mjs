import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ServerClock } from "../../static/js/live/server_clock.js";

let clock;
beforeEach(() => {
  clock = new ServerClock();
});

// A server whose clock is `ahead` ms ahead answers at `at` (page), `trip` ms after the question and before the answer.
const answer = (ahead, at, trip = 5) => clock.answered(Math.floor((at + ahead) / 1000) * 1000, at - trip, at + trip);

test("before the first event there is nothing to say", () => {
  answer(0, 1_000_500);
  assert.equal(clock.latency, null);
});

test("clocks that may agree are taken to agree", () => {
  for (let at = 1_000_100; at < 1_020_000; at += 770) answer(0, at);
  clock.shown(1_020_000, 1_020_008, 1_020_020);
  assert.equal(clock.latency.latestMs, 20);
});

test("a clock that is ahead is found out, ever more exactly", () => {
  for (let at = 1_000_000; at < 1_300_000; at += 7_137) answer(90_000, at);
  clock.shown(1_400_000 + 90_000, 1_400_010, 1_400_030);
  const { latestMs, exactToMs } = clock.latency;
  assert.ok(exactToMs < 60, `give or take ${exactToMs}`);
  assert.ok(Math.abs(latestMs - 30) <= exactToMs, `${latestMs}`);
});

test("nothing is seen before it was committed", () => {
  answer(0, 1_000_500);
  clock.shown(1_000_900, 1_000_700, 1_000_720); // the server is at least 200 ms ahead
  assert.ok(clock.latency.latestMs >= 20);
});

test("the median is of the last hundred", () => {
  answer(0, 1_000_500);
  for (let delay = 1; delay <= 300; delay += 1) clock.shown(2_000_000, 2_000_000 + delay, 2_000_000 + delay);
  assert.equal(clock.latency.count, 100);
  assert.equal(clock.latency.medianMs, 251);
});

test("a clock that was set starts it afresh", () => {
  for (let at = 1_000_000; at < 1_100_000; at += 7_137) answer(0, at);
  for (let at = 1_100_000; at < 1_200_000; at += 7_137) answer(-3_600_000, at);
  clock.shown(1_200_000 - 3_600_000, 1_200_010, 1_200_025);
  assert.ok(Math.abs(clock.latency.latestMs - 25) <= clock.latency.exactToMs);
});

test("an answer without a date is no reading", () => {
  clock.answered(Number.NaN, 0, 1);
  clock.shown(Number.NaN, 0, 1);
  assert.equal(clock.latency, null);
});
