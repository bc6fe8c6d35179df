import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { highlight, hitsOf, marksIn } from "../../static/js/search/marks.js";
import { matchesSearch, parseQuery } from "../../static/js/search/query.js";
import { normalize } from "../../static/js/search/words.js";

const CASES = JSON.parse(readFileSync(new URL("../search_cases.json", import.meta.url), "utf8"));
const matches = (text, search) =>
  highlight(text, parseQuery(search))
    .filter(({ isMatch }) => isMatch)
    .map(({ text: match }) => match);
const finds = (call, search) => matchesSearch(call, parseQuery(search));

for (const { about, finds: found, misses, externalCallId, ...call } of [...CASES.calls, ...CASES.language]) {
  test(about, () => {
    const whole = { ...call, ids: ["0123456789abcdef01234567", externalCallId] };
    for (const search of found) assert.ok(finds(whole, search), search);
    for (const search of misses) assert.ok(!finds(whole, search), search);
  });
}

test("a search without letter or digit finds nothing", () => {
  for (const search of ["", " ", ...CASES.nothing, ...CASES.languageNothing]) {
    const query = parseQuery(search);
    assert.ok(query.isNothing, search);
    assert.ok(!matchesSearch({ texts: ["Anna 🎂 ??? crown"], ids: [search] }, query), search);
  }
});

test("every word must be there; the last may be a prefix", () => {
  const texts = ["Ein Gespräch mit Müller", "a CROWN for tooth 12"];
  assert.ok(finds({ texts }, "muller crow"));
  assert.ok(!finds({ texts }, "crow muller"), "only the last word may be a prefix");
});

test("an id leads to its call", () => {
  for (const search of ["conversation-1", " conversation-1 ", "id:conversation-1"]) assert.ok(finds({ ids: ["a", undefined, "conversation-1"] }, search));
  assert.ok(!finds({ ids: ["conversation-1"] }, "conversation"));
});

test("matches are highlighted in the original text, and no text is lost", () => {
  const text = "Die Krone (crown) für Frau Ögün: CROWNS!";
  assert.deepEqual(matches(text, "crown"), ["crown", "CROWNS"]);
  assert.deepEqual(matches(text, "ogun crowns"), ["Ögün", "CROWNS"]);
  assert.deepEqual(matches("Hauptstraße 5", "hauptstrasse"), ["Hauptstraße"]);
  assert.equal(highlight(text, parseQuery("crown")).map((piece) => piece.text).join(""), text);
  assert.deepEqual(highlight("", parseQuery("x")), []);
  assert.deepEqual(highlight("abc", parseQuery("")), [{ text: "abc", isMatch: false, at: 0 }]);
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

test("phrases, numbers and fields are marked where they stand", () => {
  assert.deepEqual(matches("See you on Friday, you see", '"see you"'), ["See you"]);
  assert.deepEqual(matches("Call 416 555-0199 about 416", "416-555-0199"), ["416 555-0199"]);
  assert.deepEqual(matches("the crown with the tooth", "crown with"), ["crown"]);
  assert.deepEqual(matches("Re: invoice, or re:invoice", "re:invoice"), ["Re: invoice", "re:invoice"]);
  assert.deepEqual(matches("crown", "agent:crown"), []);
});

test("the sentences of a call have their speaker, time and marks", () => {
  const transcription = [
    { role: "agent", message: "Hello", timestamp: 0 },
    { role: "user", message: "🎂 明日の予約を確認したいです", timestamp: 4 },
  ];
  assert.deepEqual(hitsOf({ transcription, summary: "予約" }, parseQuery("予約")), [
    { index: 1, role: "user", atS: 4, text: "🎂 明日の予約を確認したいです", marks: [[6, 8]] },
    { index: null, role: null, atS: null, text: "予約", marks: [[0, 2]] },
  ]);
  const long = `${"lorem ipsum ".repeat(100)}zirconium ${"sit amet ".repeat(100)}`;
  const [{ text, marks }] = hitsOf({ summary: long }, parseQuery("zirconium"));
  assert.ok(text.startsWith("…") && text.endsWith("…") && text.length <= 202, text);
  assert.deepEqual(marks.map(([from, to]) => text.slice(from, to)), ["zirconium"]);
});

test("of many turns those with most of the search come first, at most three", () => {
  const transcription = ["a crown", "a tooth", "a crown and a tooth", "crown"].map((message) => ({ role: "user", message }));
  const hits = hitsOf({ transcription, summary: "crown and tooth" }, parseQuery("crown tooth"));
  assert.deepEqual(hits.map(({ index }) => index), [2, null, 0]);
});

test("marks are ascending parts of a text", () => {
  for (const text of ["½x ½", "ẞß ss", "e\u0301\u00ade", "ﾊﾞﾊﾞ"]) {
    for (const [from, to] of marksIn(text, parseQuery(text))) assert.ok(from < to && to <= text.length);
  }
});

test("a plain form is its own plain form", () => {
  for (const text of ["Straße", "ǅ", "ΣΊΣΥΦΟΣ", "バス", "ﾊﾞｽ", "ı"]) assert.equal(normalize(normalize(text)), normalize(text));
});
