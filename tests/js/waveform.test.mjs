import assert from "node:assert/strict";
import { test } from "node:test";

import { barHeights, findSilences, louderSpeakerPerBar, speakerPerBar } from "../../static/js/format/waveform.js";

test("bars are relative to the loudest, and none hides a peak", () => {
  assert.deepEqual(barHeights([0, 50, 100, 0], 2), [0.5, 1]);
  assert.deepEqual(barHeights([0, 0, 0, 200], 4), [0, 0, 0, 1]);
  assert.equal(Math.max(...barHeights(Array.from({ length: 1000 }, (_, at) => (at === 617 ? 255 : 1)), 90)), 1);
});

test("a silent recording, and more bars than peaks, have heights", () => {
  assert.deepEqual(barHeights([0, 0], 2), [0, 0]);
  assert.equal(barHeights([10, 20], 7).length, 7);
});

test("long silences can be skipped, short pauses cannot", () => {
  const peaks = [100, 100, 1, 1, 100, 1, 100, 1, 1, 1]; // half a second each
  const found = findSilences(peaks, 5);
  assert.deepEqual(
    found.map((pair) => pair.map((seconds) => Math.round(seconds * 100) / 100)),
    [
      [1.15, 1.85],
      [3.65, 4.85],
    ],
  );
  assert.deepEqual(findSilences([100, 100], 1), []);
});

test("the speaker of a bar follows from the turns that have a time", () => {
  const turns = [
    { role: "agent", timestamp: 0, message: "Hello, how may I help you?" },
    { role: "user", timestamp: 5, message: "I would like to book." },
  ];
  assert.deepEqual(speakerPerBar(turns, 10, 4), ["agent", "agent", "user", "user"]);
  assert.deepEqual(speakerPerBar([{ role: "agent" }], 10, 2), [null, null]);
});

test("a turn does not have all that follows it", () => {
  const turns = [{ role: "agent", timestamp: 0, message: "Hi." }];
  assert.deepEqual(speakerPerBar(turns, 40, 4), [null, null, null, null]);
  assert.deepEqual(speakerPerBar(turns, 4, 4), ["agent", "agent", "agent", null]);
});

const LEFT_THEN_RIGHT = [
  [200, 200, 0, 0, 0, 0, 90, 9],
  [0, 5, 100, 100, 0, 3, 90, 120],
];

test("with a channel for each side the louder one speaks, and nobody where it is silent or both are as loud", () => {
  const turns = [
    { role: "agent", timestamp: 0, message: "Hi." },
    { role: "user", timestamp: 2, message: "Hi." },
  ];
  const expected = ["agent", "agent", "user", "user", null, null, null, "user"];
  assert.deepEqual(louderSpeakerPerBar(LEFT_THEN_RIGHT, turns, 8, 8), expected);
  const others = turns.map((turn) => ({ ...turn, role: turn.role === "agent" ? "user" : "agent" }));
  const swapped = expected.map((role) => role && (role === "agent" ? "user" : "agent"));
  assert.deepEqual(louderSpeakerPerBar(LEFT_THEN_RIGHT, others, 8, 8), swapped);
});

test("channels have two colours without turns, or with turns that have no time", () => {
  for (const turns of [[], [{ role: "agent", message: "Hi." }]]) {
    assert.deepEqual(louderSpeakerPerBar(LEFT_THEN_RIGHT, turns, 8, 4), ["user", "agent", null, "agent"]);
  }
});
