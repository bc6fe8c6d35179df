import assert from "node:assert/strict";
import { test } from "node:test";

import { alertText, callGist, contactLabel, hasRecording, otherNumber, otherPhone, rowLabels, rowWeight } from "../../static/js/format/call.js";

test("a call is labelled by the other party", () => {
  const call = { direction: "inbound", from: "+14165550199", to: "+14165550100" };
  assert.equal(otherNumber(call), "+14165550199");
  assert.equal(otherNumber({ ...call, direction: "outbound" }), "+14165550100");
  assert.equal(contactLabel(call), "(416) 555-0199");
  assert.equal(contactLabel({ ...call, contactName: "Priya" }), "Priya");
});

test("a call has a recording if the list has one", () => {
  assert.ok(hasRecording({ recordings: [{}] }));
  for (const call of [{}, { recordings: null }, { recordings: [] }]) assert.ok(!hasRecording(call));
});

test("a withheld number is said in words, and a SIP address is shown as it is", () => {
  const call = { direction: "inbound", from: null, to: "+14165550100" };
  assert.equal(otherPhone(call), "Withheld number");
  assert.equal(contactLabel({ ...call, contactName: "Unknown Caller" }), "Unknown Caller");
  assert.equal(otherPhone({ ...call, from: "sip:priya@pbx.example.com" }), "sip:priya@pbx.example.com");
  assert.equal(otherPhone({ ...call, from: undefined }), "–", "not known yet");
});

test("an alert says whom to call back", () => {
  const call = { direction: "inbound", from: "+14165550199", to: "+14165550100", status: "failed", contactName: "Unknown Caller" };
  assert.deepEqual(alertText(call), { title: "(416) 555-0199", body: "Failed, inbound call" });
  const known = { ...call, contactName: "Priya", agentName: "Northlight" };
  assert.deepEqual(alertText(known), { title: "Priya", body: "Failed, inbound call, (416) 555-0199, Northlight" });
  assert.equal(alertText({ ...known, status: "completed", summary: "Moved." }).body, "Moved.");
});

test("a row names somebody unknown by the number", () => {
  const call = { direction: "inbound", from: "+14165550199", to: "+14165550100", contactName: "Unknown Caller" };
  assert.deepEqual(rowLabels(call), { label: "(416) 555-0199", sub: "Unknown Caller" });
  assert.deepEqual(rowLabels({ ...call, contactName: "Priya" }), { label: "Priya", sub: "(416) 555-0199" });
  assert.deepEqual(rowLabels({ ...call, contactName: undefined }), { label: "(416) 555-0199", sub: "" });
  assert.equal(rowLabels({ ...call, from: null }).label, "Withheld number");
});

test("a missed inbound call weighs most, and an outbound one that went well least", () => {
  const weights = [
    ["inbound", "no-answer", "missed"],
    ["inbound", "busy", "missed"],
    ["inbound", "failed", "missed"],
    ["inbound", "completed", ""],
    ["inbound", undefined, ""],
    ["outbound", "no-answer", ""],
    ["outbound", "completed", "calm"],
  ];
  for (const [direction, status, weight] of weights) assert.equal(rowWeight({ direction, status }), weight);
});

test("a call that nobody took says how long it rang", () => {
  assert.equal(callGist({ status: "no-answer", duration: 12.4, summary: null }), "Rang 12 s");
  assert.equal(callGist({ status: "no-answer", duration: 0, summary: null }), "");
  assert.equal(callGist({ status: "failed", duration: 12, summary: null }), "");
  assert.equal(callGist({ status: "no-answer", duration: 12, summary: "Voicemail: call back" }), "Voicemail: call back");
});
