import assert from "node:assert/strict";
import { test } from "node:test";

import { bars, silences, speakers } from "../../static/js/format/waveform.js";

test("bars are shares of the loudest, and none hides a peak", () => {
  assert.deepEqual(bars([0, 50, 100, 0], 2), [0.5, 1]);
  assert.deepEqual(bars([0, 0, 0, 200], 4), [0, 0, 0, 1]);
  assert.equal(Math.max(...bars(Array.from({ length: 1000 }, (_, at) => (at === 617 ? 255 : 1)), 90)), 1);
});

test("a silent recording, and more bars than peaks, are drawn as well", () => {
  assert.deepEqual(bars([0, 0], 2), [0, 0]);
  assert.equal(bars([10, 20], 7).length, 7);
});

test("long silences can be skipped, short pauses belong to speaking", () => {
  const peaks = [100, 100, 1, 1, 100, 1, 100, 1, 1, 1]; // half a second each
  const found = silences(peaks, 5);
  assert.deepEqual(
    found.map((pair) => pair.map((seconds) => Math.round(seconds * 100) / 100)),
    [
      [1.15, 1.85],
      [3.65, 4.85],
    ],
  );
  assert.deepEqual(silences([100, 100], 1), []);
});

test("who speaks is told by the turns that have a time", () => {
  const turns = [
    { role: "agent", timestamp: 0 },
    { role: "user", timestamp: 5 },
  ];
  assert.deepEqual(speakers(turns, 10, 4), ["agent", "agent", "user", "user"]);
  assert.deepEqual(speakers([{ role: "agent" }], 10, 2), [null, null]);
});
