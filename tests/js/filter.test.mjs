import assert from "node:assert/strict";
import { test } from "node:test";

import { changed, choiceCount, EVERYTHING, filterText, filterWords, isEverything, judge, question, readFilter, span } from "../../static/js/search/filter.js";

const read = (text) => readFilter(new URLSearchParams(text));
const NOW = new Date(2026, 4, 15, 12, 0, 0).getTime(); // local noon
const local = (...parts) => new Date(...parts).toISOString();
const row = (change = {}) => ({
  ...{ callId: "c", direction: "inbound", agentName: "Alex", startTime: local(2026, 4, 15, 11), status: "completed", duration: 30 },
  ...change,
});

test("an address keeps what makes sense, and the same view has the same text", () => {
  const filter = read("status=busy&search=two+words&direction=sideways&minDuration=-1&startDate=2026-13-40&x=1");
  assert.deepEqual(filter, { search: "two words", status: "busy" });
  assert.equal(filterText(filter), filterText(read("search=two%20words&status=busy")));
  assert.equal(read("status=__proto__"), EVERYTHING);
  assert.ok(isEverything(read("")));
});

test("changing one choice keeps the others, and an empty one is none", () => {
  const filter = changed(read("status=busy"), { direction: "inbound" });
  assert.deepEqual(filter, { status: "busy", direction: "inbound" });
  assert.equal(choiceCount(filter), 2);
  assert.equal(changed(filter, { status: "", direction: undefined }), EVERYTHING);
});

test("days are the reader's own, both included", () => {
  assert.deepEqual(span(read("startDate=2026-05-01&endDate=2026-05-02"), NOW), [
    new Date(2026, 4, 1).getTime(),
    new Date(2026, 4, 3).getTime(),
  ]);
  assert.deepEqual(span(read("date=today"), NOW), [new Date(2026, 4, 15).getTime(), new Date(2026, 4, 16).getTime()]);
  assert.deepEqual(span(read("date=yesterday"), NOW), [new Date(2026, 4, 14).getTime(), new Date(2026, 4, 15).getTime()]);
  assert.equal(span(read("date=week"), NOW)[0], new Date(2026, 4, 9).getTime());
});

test("the server is asked in moments", () => {
  const params = question(read("date=today&status=busy&minDuration=30&search=x"), NOW);
  assert.equal(params.get("startDate"), local(2026, 4, 15));
  assert.equal(Date.parse(params.get("endDate")), new Date(2026, 4, 16).getTime() - 1);
  assert.equal(params.get("date"), null);
  assert.deepEqual([params.get("status"), params.get("minDuration"), params.get("search")], ["busy", "30", "x"]);
});

test("a call is judged as soon as its events tell enough", () => {
  const begun = row({ status: undefined, duration: undefined });
  const cases = [
    ["", begun, "in"],
    ["direction=outbound", begun, "out"],
    ["agentName=Alex", begun, "in"],
    ["agentName=Robin", begun, "out"],
    ["date=yesterday", begun, "out"],
    ["date=today", begun, "in"],
    ["status=completed", begun, "open"],
    ["status=completed", row(), "in"],
    ["status=busy", row(), "out"],
    ["minDuration=30", row(), "in"],
    ["minDuration=30.5", row(), "out"],
    ["maxDuration=30", row(), "in"],
    ["maxDuration=29", row(), "out"],
    ["search=crown", begun, "open"],
    ["search=crown", row(), "ask"],
    ["search=crown&status=busy", row(), "out"],
    ["startDate=2026-05-15&endDate=2026-05-15", begun, "in"],
    ["startDate=2026-05-16", begun, "out"],
  ];
  for (const [text, call, verdict] of cases) assert.equal(judge(read(text), call, NOW), verdict, text);
});

test("a filter says in words what it leaves", () => {
  assert.equal(filterWords(EVERYTHING), "All calls");
  assert.equal(filterWords(read("status=no-answer&direction=inbound&search=crown")), "No answer, Inbound, “crown”");
});
