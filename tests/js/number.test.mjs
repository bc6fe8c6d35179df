import assert from "node:assert/strict";
import { test } from "node:test";

import { count, percent, plural, size } from "../../static/js/format/number.js";

test("counts have separators and agree with their noun", () => {
  assert.equal(count(100_000), "100,000");
  assert.equal(plural(1, "call"), "1 call");
  assert.equal(plural(1042, "call"), "1,042 calls");
  assert.equal(plural(2, "match", "matches"), "2 matches");
});

test("a share is whole per cents, without a space", () => {
  assert.equal(percent(0.594), "59%");
  assert.equal(percent(1), "100%");
});

test("sizes have two significant figures", () => {
  const cases = [
    [0, "0 bytes"],
    [999, "999 bytes"],
    [1000, "1.0 KB"],
    [126_000, "126 KB"],
    [1_400_000, "1.4 MB"],
    [5e12, "5000 GB"],
  ];
  for (const [bytes, text] of cases) assert.equal(size(bytes), text);
});
