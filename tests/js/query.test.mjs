import assert from "node:assert/strict";
import { test } from "node:test";

import { hitsOf, momentOf, transcriptText } from "../../static/js/format/transcript.js";
import { isFound, marked, queryOf } from "../../static/js/search/query.js";

const found = (search, ...texts) => isFound(queryOf(search), texts, ["+14165550199"]);
const hits = (text, search) =>
  marked(text, queryOf(search))
    .filter(({ isHit }) => isHit)
    .map(({ text: hit }) => hit);

test("every word must be there, whatever its case and accents; the last may be a beginning", () => {
  assert.ok(found("muller crow", "Ein Gespräch mit Müller", "a CROWN for tooth 12"));
  assert.ok(!found("crow muller", "Müller", "crown"), "only the last word may be a beginning");
  assert.ok(!found("crown bridge", "crown"));
  assert.ok(found("", "anything"));
});

test("a number is found whole and by its last ten, seven or four digits", () => {
  for (const search of ["14165550199", "4165550199", "5550199", "0199"]) assert.ok(found(search), search);
  assert.ok(!found("416555"+"x"));
});

test("words of nearly every call narrow nothing, unless they are being typed", () => {
  assert.ok(found("thank you crown", "crown"));
  assert.ok(!found("crown thank", "crown, thank you"));
  assert.ok(found("crown tha", "crown, Thalia"));
});

test("hits are marked in the text as it is written, and nothing of it is lost", () => {
  const text = "Die Krone (crown) für Frau Ögün: CROWNS!";
  assert.deepEqual(hits(text, "crown"), ["crown", "CROWNS"]);
  assert.deepEqual(hits(text, "ogun crowns"), ["Ögün", "CROWNS"]);
  assert.equal(marked(text, queryOf("crown")).map((piece) => piece.text).join(""), text);
  assert.deepEqual(marked("", queryOf("x")), []);
  assert.deepEqual(marked("abc", []), [{ text: "abc", isHit: false, at: 0 }]);
});

test("decomposed letters and other scripts are words, too", () => {
  assert.deepEqual(hits("cafe\u0301 au lait", "café"), ["cafe\u0301"]);
  assert.deepEqual(hits("שלום, מה שלומך", "שלו"), ["שלום", "שלומך"]);
});

const TURNS = [
  { role: "agent", message: "Good morning", timestamp: 0 },
  { role: "user", message: "I need a new crown", timestamp: 10 },
  { role: "agent", message: "A crown", timestamp: 20 },
];

test("hits of a transcript are told with their places", () => {
  assert.deepEqual(hitsOf(TURNS, queryOf("crown")), [
    { index: 1, at: 13 },
    { index: 2, at: 2 },
  ]);
});

test("a word in the middle of a turn is spoken in the middle of its time, or a little before", () => {
  assert.equal(momentOf(TURNS, 1, 0, 25), 10);
  const at = momentOf(TURNS, 1, 9, 25);
  assert.ok(at > 14 && at < 15, String(at));
  assert.ok(momentOf(TURNS, 2, 6, 25) < 25);
  assert.equal(momentOf(TURNS, 2, 6, Number.NaN), 20, "nobody knows how long the last turn is");
  assert.equal(momentOf([{ role: "user", message: "x" }], 0, 0, 10), null);
});

test("a transcript as text says who and when", () => {
  const text = transcriptText([...TURNS.slice(0, 1), { role: "user", message: "Yes" }], { agent: "Alex", user: "Priya" });
  assert.equal(text, "[0:00] Alex: Good morning\nPriya: Yes\n");
});
