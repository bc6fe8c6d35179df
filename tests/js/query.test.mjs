import assert from "node:assert/strict";
import { test } from "node:test";

import { highlight, matchesQuery, parseQuery } from "../../static/js/search/query.js";

const found = (search, ...texts) => matchesQuery(parseQuery(search), texts, ["+14165550199"]);
const matches = (text, search) =>
  highlight(text, parseQuery(search))
    .filter(({ isMatch }) => isMatch)
    .map(({ text: match }) => match);

test("every word must be there, whatever its case and accents; the last may be a prefix", () => {
  assert.ok(found("muller crow", "Ein Gespräch mit Müller", "a CROWN for tooth 12"));
  assert.ok(!found("crow muller", "Müller", "crown"), "only the last word may be a prefix");
  assert.ok(!found("crown bridge", "crown"));
  assert.ok(found("", "anything"));
});

test("a number matches in full and by its last ten, seven or four digits", () => {
  for (const search of ["14165550199", "4165550199", "5550199", "0199"]) assert.ok(found(search), search);
  assert.ok(!found("416555"+"x"));
});

test("words of nearly every call are ignored, except as the prefix being typed", () => {
  assert.ok(found("thank you crown", "crown"));
  assert.ok(!found("crown thank", "crown, thank you"));
  assert.ok(found("crown tha", "crown, Thalia"));
});

test("matches are highlighted in the original text, and no text is lost", () => {
  const text = "Die Krone (crown) für Frau Ögün: CROWNS!";
  assert.deepEqual(matches(text, "crown"), ["crown", "CROWNS"]);
  assert.deepEqual(matches(text, "ogun crowns"), ["Ögün", "CROWNS"]);
  assert.equal(highlight(text, parseQuery("crown")).map((piece) => piece.text).join(""), text);
  assert.deepEqual(highlight("", parseQuery("x")), []);
  assert.deepEqual(highlight("abc", []), [{ text: "abc", isMatch: false, at: 0 }]);
});

test("decomposed letters and other scripts are words", () => {
  assert.deepEqual(matches("cafe\u0301 au lait", "café"), ["cafe\u0301"]);
  assert.deepEqual(matches("שלום, מה שלומך", "שלו"), ["שלום", "שלומך"]);
});
