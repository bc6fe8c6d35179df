import assert from "node:assert/strict";
import { test } from "node:test";

import { phone } from "../../static/js/format/phone.js";

test("a number of the same country is written nationally", () => {
  const cases = [
    ["+14165550199", "(416) 555-0199", "+1 416-555-0199"],
    ["+33612345678", "06 12 34 56 78", "+33 6 12 34 56 78"],
    ["+442079460205", "020 7946 0205", "+44 20 7946 0205"],
    ["+6591234567", "9123 4567", "+65 9123 4567"],
    ["+819012345678", "090-1234-5678", "+81 90-1234-5678"],
  ];
  for (const [number, national, international] of cases) {
    assert.equal(phone(number, number), national);
    assert.equal(phone(number), international);
    assert.equal(phone(number, "+99912345678"), international);
  }
});

test("a number of another plan is grouped, and anything else is unchanged", () => {
  assert.equal(phone("+99912345678"), "+999 123 45678");
  assert.equal(phone("+4930"), "+49 30");
  assert.equal(phone("anonymous"), "anonymous");
  assert.equal(phone(""), "–");
  assert.equal(phone(null), "–");
});
