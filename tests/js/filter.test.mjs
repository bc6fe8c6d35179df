import assert from "node:assert/strict";
import { test } from "node:test";

import { describeFilter, filterParts } from "../../static/js/format/filter.js";
import {
  dateRange,
  historyParams,
  isEmptyFilter,
  matchFilter,
  NO_FILTER,
  parseFilter,
  serializeFilter,
  updateFilter,
} from "../../static/js/search/filter.js";

const read = (text) => parseFilter(new URLSearchParams(text));
const NOW = new Date(2026, 4, 15, 12, 0, 0).getTime(); // local noon
const local = (...parts) => new Date(...parts).toISOString();
const row = (change = {}) => ({
  ...{ callId: "c", direction: "inbound", agentName: "Alex", startTime: local(2026, 4, 15, 11), status: "completed", duration: 30 },
  ...change,
});

test("an address keeps only valid fields, and equal filters serialize equally", () => {
  const filter = read("status=busy&search=two+words&direction=sideways&minDuration=-1&startDate=2026-13-40&x=1");
  assert.deepEqual(filter, { search: "two words", status: "busy" });
  assert.equal(serializeFilter(filter), serializeFilter(read("search=two%20words&status=busy")));
  assert.equal(read("status=__proto__"), NO_FILTER);
  assert.ok(isEmptyFilter(read("")));
});

test("changing one field keeps the others, and an empty value removes it", () => {
  const filter = updateFilter(read("status=busy"), { direction: "inbound" });
  assert.deepEqual(filter, { status: "busy", direction: "inbound" });
  assert.equal(updateFilter(filter, { status: "", direction: undefined }), NO_FILTER);
});

test("dates are days in the user's time zone, both inclusive", () => {
  assert.deepEqual(dateRange(read("startDate=2026-05-01&endDate=2026-05-02"), NOW), [
    new Date(2026, 4, 1).getTime(),
    new Date(2026, 4, 3).getTime(),
  ]);
  assert.deepEqual(dateRange(read("date=today"), NOW), [new Date(2026, 4, 15).getTime(), new Date(2026, 4, 16).getTime()]);
  assert.deepEqual(dateRange(read("date=yesterday"), NOW), [new Date(2026, 4, 14).getTime(), new Date(2026, 4, 15).getTime()]);
  assert.equal(dateRange(read("date=week"), NOW)[0], new Date(2026, 4, 9).getTime());
});

test("a link may name instants, and an hour of each day in a zone", () => {
  const filter = read("from=2026-05-15T08:00Z&to=2026-05-15T09:00:00Z&hour=10&zone=Europe/Berlin");
  assert.deepEqual(dateRange(filter, NOW), [Date.UTC(2026, 4, 15, 8), Date.UTC(2026, 4, 15, 9)]);
  const params = historyParams(filter, NOW);
  assert.equal(params.get("startDate"), "2026-05-15T08:00:00.000Z");
  assert.equal(params.get("endDate"), "2026-05-15T08:59:59.999Z");
  assert.deepEqual([params.get("hour"), params.get("timeZone")], ["10", "Europe/Berlin"]);
  assert.equal(matchFilter(filter, row({ startTime: "2026-05-15T08:30:00.000Z" }), NOW), "match");
  assert.equal(matchFilter(filter, row({ startTime: "2026-05-15T09:00:00.000Z" }), NOW), "no-match");
  assert.equal(updateFilter(filter, { from: "" }).hour, undefined, "an hour needs days");
  const hour = read("from=2026-01-01T00:00Z&to=2026-02-01T00:00Z&hour=10&zone=Europe/Berlin");
  assert.equal(matchFilter(hour, row({ startTime: "2026-01-15T09:59:59.000Z" }), NOW), "match");
  assert.equal(matchFilter(hour, row({ startTime: "2026-01-15T08:59:59.000Z" }), NOW), "no-match");
  const parts = filterParts(filter, NOW);
  assert.match(parts.map(({ text }) => text).join(), /^From May 15, .*M,Before May 15, .*M,10:00 to 10:59 in Europe\/Berlin$/);
  assert.deepEqual(updateFilter(filter, { date: "today", startDate: "" }), { date: "today" }, "days take its place");
  assert.equal(read("from=yesterday&to=2026-05-15&hour=24&zone=Mars/Base"), NO_FILTER);
});

test("the server gets exact times", () => {
  const params = historyParams(read("date=today&status=busy&minDuration=30&search=x"), NOW);
  assert.equal(params.get("startDate"), local(2026, 4, 15));
  assert.equal(Date.parse(params.get("endDate")), new Date(2026, 4, 16).getTime() - 1);
  assert.equal(params.get("date"), null);
  assert.deepEqual([params.get("status"), params.get("minDuration"), params.get("search")], ["busy", "30", "x"]);
});

test("a call matches or not as soon as its events decide", () => {
  const begun = row({ status: undefined, duration: undefined });
  const cases = [
    ["", begun, "match"],
    ["direction=outbound", begun, "no-match"],
    ["agentName=Alex", begun, "match"],
    ["agentName=Robin", begun, "no-match"],
    ["date=yesterday", begun, "no-match"],
    ["date=today", begun, "match"],
    ["status=completed", begun, "incomplete"],
    ["status=completed", row(), "match"],
    ["status=busy", row(), "no-match"],
    ["minDuration=30", row(), "match"],
    ["minDuration=30.5", row(), "no-match"],
    ["maxDuration=30", row(), "match"],
    ["maxDuration=29", row(), "no-match"],
    ["search=crown", begun, "incomplete"],
    ["search=crown", row(), "search"],
    ["search=crown&status=busy", row(), "no-match"],
    ["startDate=2026-05-15&endDate=2026-05-15", begun, "match"],
    ["startDate=2026-05-16", begun, "no-match"],
  ];
  for (const [text, call, verdict] of cases) assert.equal(matchFilter(read(text), call, NOW), verdict, text);
});

test("a filter is described in words", () => {
  assert.equal(describeFilter(NO_FILTER, NOW), "All calls");
  assert.equal(describeFilter(read("status=no-answer&direction=inbound&search=crown"), NOW), "No answer, Inbound, “crown”");
  const cases = [
    ["startDate=2026-05-01&endDate=2026-05-02", "From May 1, Until May 2"],
    ["startDate=2026-05-01&endDate=2026-05-01", "May 1"],
    ["date=week&minDuration=600", "Last 7 days, 10 min or more"],
    ["minDuration=30&maxDuration=120", "30 s to 2 min"],
    ["maxDuration=7", "0 to 7 s"],
    ["minDuration=7", "7 s or more"],
  ];
  for (const [query, words] of cases) assert.equal(describeFilter(read(query), NOW), words);
});

test("taking away every part of a filter leaves none", () => {
  const queries = ["status=busy&direction=inbound&agentName=A&date=today&minDuration=3", "startDate=2026-05-01&endDate=2026-05-02", "from=2026-05-15T08:00Z&to=2026-05-15T09:00Z&hour=3&zone=UTC", "from=2026-05-15T08:00Z&zone=UTC"];
  for (const query of queries) {
    let filter = read(query);
    for (let [part] = filterParts(filter, NOW); part; [part] = filterParts(filter, NOW)) {
      filter = updateFilter(filter, Object.fromEntries(part.fields.map((name) => [name, ""])));
    }
    assert.equal(filter, NO_FILTER);
  }
});
