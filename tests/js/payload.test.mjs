import assert from "node:assert/strict";
import { test } from "node:test";

import { jsonLines } from "../../static/js/format/json_lines.js";
import { finder, parsePayload } from "../../static/js/format/payload.js";

test("a payload is JSON, and Twilio's is a form", () => {
  assert.deepEqual(parsePayload(' {"a": 1} ', "retell"), { a: 1 });
  assert.equal(parsePayload("{a}", "retell"), undefined);
  assert.deepEqual(parsePayload("From=%2B1&To=a+b&X=1&X=2&Empty=\n", "twilio"), { From: "+1", To: "a b", X: ["1", "2"], Empty: "" });
  assert.equal(parsePayload("", "twilio"), undefined);
  assert.equal({}.polluted, undefined);
  assert.deepEqual(Object.keys(parsePayload("__proto__=polluted", "twilio")), ["__proto__"]);
});

test("secrets in a payload are masked", () => {
  const payload = { phoneNumber: { twilioAuthToken: "x", number: "+1", server: { secret: ["x"], "x-api-key": 1, key: null } } };
  assert.deepEqual(parsePayload(JSON.stringify(payload), "vapi"), {
    phoneNumber: { twilioAuthToken: "***", number: "+1", server: { secret: "***", "x-api-key": "***", key: null } },
  });
  assert.deepEqual(parsePayload("AccountSid=AC1&CallSid=CA1", "twilio"), { AccountSid: "***", CallSid: "CA1" });
});

test("a path leads to its lines, whichever way an index is written", () => {
  const lines = jsonLines({ a: { b: [1, { c: "x {" }] }, d: [] });
  const find = finder(lines);
  const texts = (path) => {
    const range = find(path);
    return range && lines.slice(range[0], range[1] + 1).map(({ text }) => text);
  };
  assert.deepEqual(texts("a.b.0"), ["1,"]);
  assert.deepEqual(texts("a.b[1].c"), ['"c": "x {"']);
  assert.deepEqual(texts("a.b.1"), ["{", '"c": "x {"', "}"]);
  assert.deepEqual(texts("a.b"), ['"b": [', "1,", "{", '"c": "x {"', "}", "]"]);
  assert.deepEqual(texts("d"), ['"d": []']);
  assert.deepEqual(texts("a.b.1.gone"), ["{", '"c": "x {"', "}"], "what it would be in");
  assert.equal(texts("gone.c"), null);
});
