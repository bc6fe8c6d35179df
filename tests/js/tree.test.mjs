import assert from "node:assert/strict";
import { test } from "node:test";

import { entriesOf, isBranch, isEmpty, kindOf, summaryOf } from "../../static/js/format/tree.js";

test("a tree distinguishes the kinds of JSON values", () => {
  const kinds = { null: null, boolean: false, number: 0, string: "", list: [], object: {} };
  for (const [kind, value] of Object.entries(kinds)) {
    assert.equal(kindOf(value), kind);
    assert.equal(isBranch(value), ["list", "object"].includes(kind));
  }
});

test("a tree shows every own key as data, whatever its name", () => {
  const hostile = JSON.parse('{"__proto__": {"x": 1}, "constructor": 2, "hasOwnProperty": 3, "$set": 4, "a.b": 5, "": 6}');
  assert.deepEqual(
    entriesOf(hostile).map(([label]) => label),
    ["__proto__", "constructor", "hasOwnProperty", "$set", "a.b", ""],
  );
  assert.equal(summaryOf(hostile), "6 fields");
});

test("a list is numbered from one", () => {
  assert.deepEqual(entriesOf(["a", null]), [
    ["1", "a"],
    ["2", null],
  ]);
  assert.equal(summaryOf(["a"]), "1 item");
});

test("an empty value has nothing to show", () => {
  for (const value of [null, undefined, {}, []]) assert.ok(isEmpty(value));
  for (const value of [0, "", false, [null], { a: 1 }]) assert.ok(!isEmpty(value));
});
