import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "America/Toronto";
const { dayBreaks, RowPositions } = await import("../../static/js/components/list/row_positions.js");

const calls = (...times) => {
  const rows = new Map(times.map((startTime, number) => [`c${number}`, { startTime }]));
  return [[...rows.keys()], rows];
};

test("a heading stands where the user's day changes", () => {
  const breaks = dayBreaks(
    ...calls(
      "2026-11-02T05:30:00.000Z", // half past midnight, after the clocks went back
      "2026-11-02T04:30:00.000Z",
      "2026-11-01T04:30:00.000Z", // a day of 25 hours
      "2026-11-01T03:59:59.999Z",
      "soon",
      "2026-11-01T03:00:00.000Z",
      "2026-11-02T06:00:00.000Z", // arrived late
    ),
  );
  assert.deepEqual(breaks.map(({ index }) => index), [0, 1, 3, 6]);
  assert.equal(breaks[1].startTime, "2026-11-02T04:30:00.000Z");
});

test("no row and no heading overlaps another, and each is found where it is", () => {
  for (const indexes of [[], [0], [0, 1, 2, 3], [0, 7, 19], [4]]) {
    const positions = new RowPositions({ count: 20, rowPx: 44, dayPx: 28, breaks: indexes.map((index) => ({ index, startTime: `t${index}` })) });
    let bottom = 0;
    for (let index = 0; index < 20; index += 1) {
      assert.equal(positions.top(index), bottom + (indexes.includes(index) ? 28 : 0));
      for (let px = bottom; px < positions.top(index) + 44; px += 1) assert.equal(positions.indexAt(px), index);
      bottom = positions.top(index) + 44;
    }
    assert.equal(positions.height, bottom);
    assert.equal(positions.indexAt(bottom), 20);
    const shown = positions.headings(1, 8);
    assert.deepEqual(shown.map(({ index }) => index), indexes.filter((index) => index >= 1 && index < 8));
    for (const { index, top } of shown) assert.equal(top + 28, positions.top(index));
  }
});

test("an empty list has no height", () => {
  const positions = new RowPositions({ count: 0, rowPx: 44, dayPx: 28, breaks: [] });
  assert.deepEqual([positions.height, positions.indexAt(0), positions.headings(0, 10)], [0, 0, []]);
});
