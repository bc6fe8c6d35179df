import assert from "node:assert/strict";
import { test } from "node:test";

import { jsonLines, MAX_LINES } from "../../static/js/format/json_lines.js";

test("the lines are the indented JSON, each with the path of its value", () => {
  const value = { a: 1, b: [{ c: "x" }, []], "": null, d: {} };
  const lines = jsonLines(value);
  assert.equal(lines.map(({ depth, text }) => "  ".repeat(depth) + text).join("\n"), JSON.stringify(value, null, 2));
  assert.deepEqual(
    lines.map(({ path }) => path),
    ["", "a", "b", "b[0]", "b[0].c", null, "b[1]", null, "", "d", null],
  );
});

test("a long text is cut, a long or deep body ends early, and a single value is one line", () => {
  assert.match(jsonLines("x".repeat(5_000))[0].text, /^"x{399}… \(5,002 characters\)$/);
  const wide = jsonLines(Array(10_000).fill(0));
  assert.deepEqual([wide.length, wide.at(-1).text], [MAX_LINES + 1, "… the rest is not shown"]);
  let deep = 1;
  for (let at = 0; at < 50_000; at += 1) deep = [deep];
  assert.equal(jsonLines(deep).length, MAX_LINES + 1);
  assert.deepEqual(jsonLines(null), [{ depth: 0, text: "null", path: "" }]);
});
