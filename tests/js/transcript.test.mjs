import assert from "node:assert/strict";
import { test } from "node:test";

import { findMatches, timeOfWord, transcriptText, turnAt } from "../../static/js/format/transcript.js";
import { parseQuery } from "../../static/js/search/query.js";

const TURNS = [
  { role: "agent", message: "Good morning", timestamp: 0 },
  { role: "user", message: "I need a new crown", timestamp: 10 },
  { role: "agent", message: "A crown", timestamp: 20 },
];

test("the current turn is the last one that has started", () => {
  const turns = [{ timestamp: 0.5 }, { timestamp: 2.8 }, {}, { timestamp: 9 }];
  const cases = [
    [0, -1],
    [0.5, 0],
    [2.7, 0],
    [2.8, 1],
    [8, 1],
    [100, 3],
  ];
  for (const [seconds, index] of cases) assert.equal(turnAt(turns, seconds), index);
});

test("turns without times are never current, turns out of order are found by their time", () => {
  assert.equal(turnAt([{}, { timestamp: null }, { timestamp: "1" }], 5), -1);
  assert.equal(turnAt([{ timestamp: 5 }, { timestamp: 1 }], 3), 1);
});

test("each turn with a match counts once, and has the position of its first", () => {
  const [turn] = [{ role: "user", message: "crown, crown and crown" }];
  assert.deepEqual(findMatches([turn], parseQuery("crown")), [
    { index: 0, at: 0, marks: [[0, 5], [7, 12], [17, 22]] },
  ]);
  assert.deepEqual(findMatches([turn], parseQuery("")), []);
  assert.deepEqual(findMatches(TURNS, parseQuery("crown")), [
    { index: 1, at: 13, marks: [[13, 18]] },
    { index: 2, at: 2, marks: [[2, 7]] },
  ]);
});

test("a word in the middle of a turn is spoken in the middle of its time, or a little before", () => {
  assert.equal(timeOfWord(TURNS, 1, 0, 25), 10);
  const at = timeOfWord(TURNS, 1, 9, 25);
  assert.ok(at > 14 && at < 15, String(at));
  assert.ok(timeOfWord(TURNS, 2, 6, 25) < 25);
  assert.equal(timeOfWord(TURNS, 2, 6, Number.NaN), 20, "the end of the last turn is unknown");
  assert.equal(timeOfWord([{ role: "user", message: "x" }], 0, 0, 10), null);
});

test("a transcript as text has names and times", () => {
  const text = transcriptText([...TURNS.slice(0, 1), { role: "user", message: "Yes" }], { agent: "Alex", user: "Priya" });
  assert.equal(text, "[0:00] Alex: Good morning\nPriya: Yes\n");
});
