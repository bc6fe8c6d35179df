import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { highlight, matchesSearch, normalize, parseQuery } from "../../static/js/search/query.js";

const CASES = JSON.parse(readFileSync(new URL("../search_cases.json", import.meta.url), "utf8"));
const matches = (text, search) =>
  highlight(text, parseQuery(search))
    .filter(({ isMatch }) => isMatch)
    .map(({ text: match }) => match);

for (const { about, texts, numbers, finds, misses } of CASES.calls) {
  test(about, () => {
    for (const search of finds) assert.ok(matchesSearch(search, texts, numbers), search);
    for (const search of misses) assert.ok(!matchesSearch(search, texts, numbers), search);
  });
}

test("a search without letter or digit finds nothing, and no search finds everything", () => {
  for (const search of CASES.nothing) {
    assert.deepEqual(parseQuery(search), []);
    assert.ok(!matchesSearch(search, ["Anna 🎂 ???"], []), search);
  }
  assert.ok(matchesSearch(" ", ["anything"], []));
});

test("every word must be there; the last may be a prefix", () => {
  assert.ok(matchesSearch("muller crow", ["Ein Gespräch mit Müller", "a CROWN for tooth 12"], []));
  assert.ok(!matchesSearch("crow muller", ["Müller", "crown"], []), "only the last word may be a prefix");
});

test("matches are highlighted in the original text, and no text is lost", () => {
  const text = "Die Krone (crown) für Frau Ögün: CROWNS!";
  assert.deepEqual(matches(text, "crown"), ["crown", "CROWNS"]);
  assert.deepEqual(matches(text, "ogun crowns"), ["Ögün", "CROWNS"]);
  assert.deepEqual(matches("Hauptstraße 5", "hauptstrasse"), ["Hauptstraße"]);
  assert.equal(highlight(text, parseQuery("crown")).map((piece) => piece.text).join(""), text);
  assert.deepEqual(highlight("", parseQuery("x")), []);
  assert.deepEqual(highlight("abc", []), [{ text: "abc", isMatch: false, at: 0 }]);
});

test("decomposed letters and other scripts are words", () => {
  assert.deepEqual(matches("cafe\u0301 au lait", "café"), ["cafe\u0301"]);
  assert.deepEqual(matches("שלום, מה שלומך", "שלו"), ["שלום", "שלומך"]);
  assert.deepEqual(matches("किताब चाहिए", "किताब"), ["किताब"]);
  assert.deepEqual(matches("Donau\u00addampf", "donaudampf"), ["Donau\u00addampf"]);
});

test("of a text without spaces the part that was searched is highlighted", () => {
  assert.deepEqual(highlight("明日の予約を確認したい", parseQuery("予約")), [
    { text: "明日の", isMatch: false, at: 0 },
    { text: "予約", isMatch: true, at: 3 },
    { text: "を確認したい", isMatch: false, at: 5 },
  ]);
  assert.deepEqual(matches("ﾊﾞｽとバス", "バス"), ["ﾊﾞｽ", "バス"]);
  assert.deepEqual(matches("予約予約を", "予約 約予").join(""), "予約予約");
  assert.deepEqual(matches("收到iPhone15的送货", "送货 iphone"), ["iPhone15", "送货"]);
  assert.deepEqual(matches("นัดหมายวันพรุ่งนี้", "วัน"), ["วัน"]);
});

test("a plain form is its own plain form", () => {
  for (const text of ["Straße", "ǅ", "ΣΊΣΥΦΟΣ", "バス", "ﾊﾞｽ", "ı"]) assert.equal(normalize(normalize(text)), normalize(text));
});
