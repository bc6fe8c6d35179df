import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ServerClock } from "../../static/js/live/server_clock.js";

let clock;
beforeEach(() => {
  clock = new ServerClock();
});

// A server whose clock is `ahead` ms ahead responds at `at` (page time), `trip` ms after the request and before the response.
const respond = (ahead, at, trip = 5) => clock.addResponse(Math.floor((at + ahead) / 1000) * 1000, at - trip, at + trip);

test("before the first event there is no latency", () => {
  respond(0, 1_000_500);
  assert.equal(clock.latency, null);
});

test("clocks that may agree are assumed to agree", () => {
  for (let at = 1_000_100; at < 1_020_000; at += 770) respond(0, at);
  clock.addEvent(1_020_000, 1_020_008, 1_020_020);
  assert.equal(clock.latency.latestMs, 20);
});

test("a clock that is ahead is measured more and more exactly", () => {
  for (let at = 1_000_000; at < 1_300_000; at += 7_137) respond(90_000, at);
  clock.addEvent(1_400_000 + 90_000, 1_400_010, 1_400_030);
  const { latestMs, errorMs } = clock.latency;
  assert.ok(errorMs < 60, `give or take ${errorMs}`);
  assert.ok(Math.abs(latestMs - 30) <= errorMs, `${latestMs}`);
});

test("an event is not shown before it was committed", () => {
  respond(0, 1_000_500);
  clock.addEvent(1_000_900, 1_000_700, 1_000_720); // the server is at least 200 ms ahead
  assert.ok(clock.latency.latestMs >= 20);
});

test("the median is over the last hundred events", () => {
  respond(0, 1_000_500);
  for (let delay = 1; delay <= 300; delay += 1) clock.addEvent(2_000_000, 2_000_000 + delay, 2_000_000 + delay);
  assert.equal(clock.latency.count, 100);
  assert.equal(clock.latency.medianMs, 251);
});

test("after a clock was set the measurement starts again", () => {
  for (let at = 1_000_000; at < 1_100_000; at += 7_137) respond(0, at);
  for (let at = 1_100_000; at < 1_200_000; at += 7_137) respond(-3_600_000, at);
  clock.addEvent(1_200_000 - 3_600_000, 1_200_010, 1_200_025);
  assert.ok(Math.abs(clock.latency.latestMs - 25) <= clock.latency.errorMs);
});

test("a response without a date is ignored", () => {
  clock.addResponse(Number.NaN, 0, 1);
  clock.addEvent(Number.NaN, 0, 1);
  assert.equal(clock.latency, null);
});
