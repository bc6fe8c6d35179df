import assert from "node:assert/strict";
import { test } from "node:test";

import { outcomeFacts } from "../../static/js/format/outcome.js";
import { toolCallsOf } from "../../static/js/format/transcript.js";
import { PROOFS, VENDORS, firstSettings, kindName, wordsOf } from "../../static/js/format/vendors.js";
import { reasonOf, wouldBe } from "../../static/js/format/verdicts.js";

test("the texts of each vendor are whole: their marks are closed", () => {
  const texts = Object.values(VENDORS).flatMap(({ brings, steps, eventsHint, secret, also = "" }) => [brings, ...steps, eventsHint, secret.where, also]);
  for (const text of [...texts, ...Object.values(PROOFS).map((proof) => proof.text)]) {
    for (const { text: part } of wordsOf(text)) assert.doesNotMatch(part, /\*\*|`/, text);
  }
  assert.deepEqual(wordsOf("Open **Settings**: `a*b`."), [
    { text: "Open ", is: "plain" },
    { text: "Settings", is: "ui" },
    { text: ": ", is: "plain" },
    { text: "a*b", is: "code" },
    { text: ".", is: "plain" },
  ]);
});

test("a kind has its vendor's name, and a new one is shown as it is", () => {
  assert.equal(kindName("elevenlabs"), "ElevenLabs");
  assert.equal(kindName("api"), "API");
  assert.equal(kindName("tomorrow"), "tomorrow");
  assert.deepEqual(firstSettings("twilio", "https://calls.example.com"), { publicUrl: "https://calls.example.com" });
  assert.deepEqual(firstSettings("retell", "https://calls.example.com"), {});
});

test("the server's sentence comes before ours, and an unknown word is shown as it is", () => {
  assert.equal(reasonOf({ code: "stale", error: "It is two hours old." }), "It is two hours old.");
  assert.match(reasonOf({ code: "stale", error: null }), /clock/);
  assert.equal(reasonOf({ code: "tomorrow" }), "tomorrow");
  assert.equal(reasonOf({ code: null, error: null }), "");
  assert.match(wouldBe("created"), /new call/);
  assert.match(wouldBe("tomorrow"), /tomorrow/);
});

test("an outcome shows what the vendor said, whatever its form", () => {
  const outcome = { success: false, sentiment: "Positive", score: 0, cost: { usd: 1 }, endedReason: "", voicemail: true, other: 1 };
  assert.deepEqual(outcomeFacts(outcome), [
    ["Successful", "No"],
    ["Sentiment", "Positive"],
    ["Score", "0"],
    ["Cost, in the vendor's unit", '{"usd":1}'],
    ["Voicemail", "A machine answered"],
  ]);
  for (const nothing of [undefined, null, {}, { voicemail: false }]) assert.deepEqual(outcomeFacts(nothing), []);
});

test("tool calls are named as far as they have a name", () => {
  const turn = { extra: { toolCalls: [{ name: "a" }, { tool_name: "b" }, { function: { name: "c" } }, null, 7, { name: {} }] } };
  assert.equal(toolCallsOf(turn).names, "a, b, c");
  assert.equal(toolCallsOf(turn).calls.length, 6);
  for (const none of [{}, { extra: null }, { extra: { toolCalls: "x" } }]) assert.deepEqual(toolCallsOf(none), { calls: [], names: "" });
});
