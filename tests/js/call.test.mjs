import assert from "node:assert/strict";
import { test } from "node:test";

import { contactLabel, hasRecording, otherNumber } from "../../static/js/format/call.js";

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
