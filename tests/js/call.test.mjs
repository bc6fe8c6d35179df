// The small pure modules that a call is read with: its address, its words, its vendor's data.

import assert from "node:assert/strict";
import { test } from "node:test";

import { contactLabel, hasRecording, otherNumber } from "../../static/js/format/call.js";
import { callHref, contactHref, listHref, momentHref, parseRoute } from "../../static/js/route.js";
import { turnAt } from "../../static/js/format/transcript.js";
import { entriesOf, isBranch, isEmpty, kindOf, summaryOf } from "../../static/js/format/tree.js";

test("an address leads to its call, its contact, its moment and back", () => {
  for (const id of ["64f0a1b2c3d4e5f6a7b8cb00", "a/b", "ü ?#"]) {
    assert.deepEqual(parseRoute(callHref(id)), { name: "call", id, filter: {}, atS: null });
    assert.deepEqual(parseRoute(contactHref(id)), { name: "contact", id, filter: {}, atS: null });
    assert.deepEqual(parseRoute(momentHref(id, 12.34)), { name: "call", id, filter: {}, atS: 12.3 });
  }
});

test("a view is in the address, beside a call, too", () => {
  const filter = { search: "büro & co?", status: "no-answer" };
  assert.deepEqual(parseRoute(listHref(filter)).filter, filter);
  assert.deepEqual(parseRoute(callHref("x", filter)), { name: "call", id: "x", filter, atS: null });
});

test("any other address is the list", () => {
  for (const hash of ["", "#", "#/", "#/calls", "#/calls/", "#/calls/a/b", "#/calls/%E0%A4%A", "#calls/x", "#/contacts/", "#/x"]) {
    assert.equal(parseRoute(hash).name, "list", hash);
  }
});

test("a moment that is none is no moment", () => {
  for (const t of ["", "x", "-3", "1e9", "12.3456"]) assert.equal(parseRoute(`#/calls/a?t=${t}`).atS, null, t);
});

test("the turn that is spoken is the last one that has begun", () => {
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

test("turns without times are never spoken, turns out of order are found by their time", () => {
  assert.equal(turnAt([{}, { timestamp: null }, { timestamp: "1" }], 5), -1);
  assert.equal(turnAt([{ timestamp: 5 }, { timestamp: 1 }], 3), 1);
});

test("a tree tells the kinds of JSON apart", () => {
  const kinds = { null: null, boolean: false, number: 0, string: "", list: [], object: {} };
  for (const [kind, value] of Object.entries(kinds)) {
    assert.equal(kindOf(value), kind);
    assert.equal(isBranch(value), ["list", "object"].includes(kind));
  }
});

test("a tree shows every own key as data, whatever it is called", () => {
  const hostile = JSON.parse('{"__proto__": {"x": 1}, "constructor": 2, "hasOwnProperty": 3, "$set": 4, "a.b": 5, "": 6}');
  assert.deepEqual(
    entriesOf(hostile).map(([label]) => label),
    ["__proto__", "constructor", "hasOwnProperty", "$set", "a.b", ""],
  );
  assert.equal(summaryOf(hostile), "6 fields");
});

test("a list counts from one", () => {
  assert.deepEqual(entriesOf(["a", null]), [
    ["1", "a"],
    ["2", null],
  ]);
  assert.equal(summaryOf(["a"]), "1 item");
});

test("nothing to show is known as nothing", () => {
  for (const value of [null, undefined, {}, []]) assert.ok(isEmpty(value));
  for (const value of [0, "", false, [null], { a: 1 }]) assert.ok(!isEmpty(value));
});

test("the other side of a call is who is named", () => {
  const call = { direction: "inbound", from: "+14165550199", to: "+14165550100" };
  assert.equal(otherNumber(call), "+14165550199");
  assert.equal(otherNumber({ ...call, direction: "outbound" }), "+14165550100");
  assert.equal(contactLabel(call), "(416) 555-0199");
  assert.equal(contactLabel({ ...call, contactName: "Priya" }), "Priya");
});

test("a recording is there when the list says so", () => {
  assert.ok(hasRecording({ recordings: [{}] }));
  for (const call of [{}, { recordings: null }, { recordings: [] }]) assert.ok(!hasRecording(call));
});
