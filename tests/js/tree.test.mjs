import assert from "node:assert/strict";
import { test } from "node:test";

import { entriesOf, isBranch, isEmpty, kindOf, linked, summaryOf } from "../../static/js/format/tree.js";

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

test("a list is numbered from zero", () => {
  assert.deepEqual(entriesOf(["a", null]), [
    ["0", "a"],
    ["1", null],
  ]);
  assert.equal(summaryOf(["a"]), "1 item");
});

test("an empty value has nothing to show", () => {
  for (const value of [null, undefined, {}, []]) assert.ok(isEmpty(value));
  for (const value of [0, "", false, [null], { a: 1 }]) assert.ok(!isEmpty(value));
});

test("addresses of the web in a text are links, and nothing else is", () => {
  const hrefs = (text) => linked(text).filter(({ href }) => href).map(({ href }) => href);
  assert.deepEqual(hrefs("https://crm.example.com/a?b=c&d=<e>"), ["https://crm.example.com/a?b=c&d="]);
  assert.deepEqual(hrefs("See https://example.com/x, and (http://example.org/y)."), ["https://example.com/x", "http://example.org/y"]);
  assert.deepEqual(hrefs("https://en.wikipedia.org/wiki/Tether_(disambiguation)"), ["https://en.wikipedia.org/wiki/Tether_(disambiguation)"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "ftp://example.com", "//example.com", "https://", "http://[", "mailto:a@b.c", ""]) {
    assert.deepEqual(hrefs(text), [], text);
  }
});

test("the pieces of a text are the whole text", () => {
  const parts = ["https://a.example/b", " ", ").", "(", "javascript:", "http://", "é\u202e", "<b>", "https://x.example/?q=1#f", ",", "\n"];
  for (let seed = 0; seed < 3_000; seed += 1) {
    const text = Array.from({ length: seed % 7 }, (_, at) => parts[(seed * 31 + at * at * 17 + at * seed) % parts.length]).join("");
    const pieces = linked(text);
    assert.equal(pieces.map((piece) => piece.text).join(""), text);
    for (const { href } of pieces) if (href) assert.match(href, /^https?:\/\//);
  }
});
