import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { CallStore } from "../../static/js/state/call_store.js";

const id = (number) => String(number).padStart(24, "0");
const time = (minute) => new Date(Date.UTC(2026, 4, 15, 9, minute)).toISOString();

// A call as the history lists it, `number` minutes after nine.
const call = (number, startMinute = number) => ({
  ...{ _id: id(number), callId: id(number), contactName: `Contact ${number}`, direction: "inbound", status: "completed" },
  ...{ from: "+14165550100", to: "+14165550199", duration: 12, startTime: time(startMinute), summary: `Summary ${number}` },
  recordings: [{ recordingId: `r${number}`, duration: 12, contentType: "audio/mpeg" }],
});

function events({ callId, contactName, direction, from, to, startTime, status, duration, summary }) {
  const at = startTime;
  return [
    { event: "call_initiated", at, data: { callId, contactName, direction, from, to, startTime, agentName: null } },
    { event: "call_ended", at, data: { callId, status, duration, endTime: startTime, summary } },
    { event: "call_recording_ready", at, data: { callId, recordingId: "r", duration, contentType: "audio/mpeg" } },
    { event: "fetch_messages", at, data: { callId, conversationId: "v", contactId: "c" } },
  ];
}

let store;
beforeEach(() => {
  store = new CallStore({ schedule: (run) => run() });
});

const arrive = (...calls) => calls.flatMap(events).forEach((event) => store.apply(event, 1_000));
const numbers = () => store.order.map(Number);
const history = (...rows) => rows.map((number) => call(number));

test("a call's events make one complete row", () => {
  store.replace([], { total: 0 });
  arrive(call(1));
  assert.deepEqual(numbers(), [1]);
  const row = store.rows.get(id(1));
  assert.equal(row.status, "completed");
  assert.equal(row.summary, "Summary 1");
  assert.equal(row.recordings.length, 1);
  assert.equal(store.total, 1);
});

test("applying an event again changes nothing", () => {
  store.replace([], { total: 0 });
  arrive(call(1), call(1), call(1));
  assert.deepEqual(numbers(), [1]);
  assert.equal(store.total, 1);
});

test("a row is replaced, never modified, so that a component sees the change by identity", () => {
  store.replace([], { total: 0 });
  store.apply(events(call(1))[0], 1_000);
  const before = store.rows.get(id(1));
  store.apply(events(call(1))[1], 1_000);
  assert.notEqual(store.rows.get(id(1)), before);
  assert.equal(before.status, undefined);
});

test("calls that arrive are on top, newest arrival first, whenever they started", () => {
  store.replace(history(30, 20, 10), { total: 3 });
  arrive(call(40), call(5));
  assert.deepEqual(numbers(), [5, 40, 30, 20, 10]);
});

test("a call that comes by event and by history is listed once, in either order", () => {
  arrive(call(3));
  store.replace(history(3, 2, 1), { total: 3 });
  assert.deepEqual(numbers(), [3, 2, 1]);
  arrive(call(3), call(2));
  assert.deepEqual(numbers(), [3, 2, 1]);
  assert.equal(store.total, 3);
});

test("a call that arrives while the first page is loading is kept, whether the page includes it or not", () => {
  store.expectFirstPage();
  arrive(call(8), call(9));
  store.replace(history(8, 2, 1), { total: 3 });
  assert.deepEqual(numbers(), [9, 8, 2, 1]);
  assert.equal(store.total, 4);
});

test("a reload drops what is no longer on the first page", () => {
  store.replace(history(3, 2, 1), { total: 3 });
  store.expectFirstPage();
  store.replace(history(103, 102, 101), { total: 103 });
  assert.deepEqual(numbers(), [103, 102, 101]);
  assert.ok(!store.isComplete);
});

test("events of a call that is not loaded yet are ignored", () => {
  store.replace(history(9), { total: 40 });
  store.apply(events(call(1))[1], 1_000);
  assert.deepEqual(numbers(), [9]);
  assert.equal(store.total, 40);
});

test("an unknown event, or one without a call id, changes nothing", () => {
  store.replace(history(1), { total: 1 });
  const { version } = store;
  for (const event of ["call_transferred", "constructor", "toString"]) store.apply({ event, data: { callId: id(1) } }, 0);
  store.apply({ event: "call_initiated", data: {} }, 0);
  assert.equal(store.version, version);
});

test("an empty page ends the history even if the count was wrong", () => {
  store.replace(history(2, 1), { total: 5 });
  assert.ok(!store.isComplete);
  store.append([], { total: 5 });
  assert.ok(store.isComplete);
});

test("pages and events in any order: every call of the server is listed once", () => {
  let state = 7;
  const random = (below) => (state = (state * 1103515245 + 12345) % 2 ** 31) % below;
  for (let round = 0; round < 100; round += 1) {
    // Calls start at random times, so that many that arrive are far down in the history.
    const server = Array.from({ length: 30 }, (_, number) => call(number, random(200)));
    const listed = () => [...server].sort((a, b) => b.startTime.localeCompare(a.startTime) || b.callId.localeCompare(a.callId));
    store = new CallStore({ schedule: (run) => run() });
    store.expectFirstPage();
    store.replace(listed().slice(0, 5), { total: server.length });
    while (!store.isComplete) {
      if (server.length < 60 && random(2)) {
        server.push(call(server.length, random(200)));
        arrive(server.at(-1));
      } else {
        const calls = listed();
        const from = calls.findIndex(({ callId }) => callId === store.pageCursor) + 1;
        store.append(calls.slice(from, from + 5), { total: server.length, isLast: from + 5 >= calls.length });
      }
    }
    assert.equal(new Set(store.order).size, store.order.length);
    assert.deepEqual([...store.order].sort(), server.map(({ callId }) => callId).sort());
  }
});

test("while the list is held, new calls wait, and go on top when it is released", () => {
  store.replace(history(2, 1), { total: 2 });
  store.hold();
  arrive(call(3), call(4));
  assert.deepEqual(numbers(), [2, 1]);
  assert.equal(store.waitingCount, 2);
  assert.equal(store.total, 4);
  assert.equal(store.rows.get(id(3)).status, "completed", "its further events are not lost");
  store.release();
  assert.deepEqual(numbers(), [4, 3, 2, 1]);
  assert.equal(store.waitingCount, 0);
});

test("more than ten calls within a minute come in together, and one at a time when it is calm again", () => {
  store.replace([], { total: 0, isLast: true });
  const at = (nowMs, ...calls) => calls.flatMap(events).forEach((event) => store.apply(event, nowMs));
  for (let number = 1; number <= 10; number += 1) at(number * 1_000, call(number));
  assert.equal(store.order.length, 10);
  at(11_000, call(11), call(12));
  assert.deepEqual([store.order.length, store.waitingCount, store.total], [10, 2, 12]);
  store.release(15_000);
  assert.deepEqual(numbers().slice(0, 3), [12, 11, 10]);
  assert.equal(store.rows.get(id(12)).shownAtMs, 15_000, "it is new from now on");
  at(62_500, call(13));
  assert.deepEqual(numbers().slice(0, 2), [12, 11]);
  at(120_000, call(14));
  assert.equal(store.order.length, 12, "none overtakes one that waits");
  store.release(121_000);
  at(122_000, call(15));
  assert.deepEqual(numbers().slice(0, 4), [15, 14, 13, 12]);
});

test("a call that waits and comes with a page is listed once", () => {
  store.replace(history(9), { total: 2 });
  store.hold();
  arrive(call(5));
  store.append(history(5), { total: 2, isLast: true });
  assert.deepEqual(numbers(), [9]);
  store.release();
  assert.deepEqual(numbers(), [5, 9]);
});

const matching = (match) => {
  const searched = [];
  store = new CallStore({ schedule: (run) => run(), match, onSearch: (row) => searched.push(row.callId) });
  return searched;
};

test("a call that does not match is not counted, and its later events change nothing", () => {
  matching(({ callId }) => (Number(callId) % 2 ? "no-match" : "match"));
  store.replace([], { total: 0 });
  arrive(call(1), call(2), call(3));
  assert.deepEqual(numbers(), [2]);
  assert.equal(store.total, 1);
});

test("a call is matched again with each event until the filter can decide", () => {
  matching(({ status }) => (status === undefined ? "incomplete" : status === "completed" ? "match" : "no-match"));
  store.replace([], { total: 0 });
  const [begun, ended, recorded] = events(call(1));
  store.apply(begun, 0);
  assert.deepEqual(numbers(), []);
  store.apply(ended, 0);
  assert.deepEqual(numbers(), [1]);
  store.apply(recorded, 0);
  assert.equal(store.rows.get(id(1)).recordings.length, 1);
});

test("a call is searched once, and keeps the events that arrive meanwhile", () => {
  const searched = matching(({ status }) => (status ? "search" : "incomplete"));
  store.replace([], { total: 0 });
  arrive(call(1), call(2));
  assert.deepEqual(searched, [id(1), id(2)]);
  store.resolveSearch(id(1), null);
  store.resolveSearch(id(2), []);
  store.resolveSearch(id(2), []);
  assert.deepEqual(numbers(), [2]);
  assert.equal(store.rows.get(id(2)).recordings.length, 1);
});

test("a change of the filter drops undecided calls", () => {
  matching(() => "search");
  store.replace([], { total: 0 });
  arrive(call(1));
  store.expectFilterChange();
  store.resolveSearch(id(1), []);
  assert.deepEqual(numbers(), []);
});

test("a contact's new name is in all their rows", () => {
  store.replace([{ ...call(1), contactId: "c" }, { ...call(2), contactId: "d" }], { total: 2 });
  store.rename("c", "Priya");
  assert.equal(store.rows.get(id(1)).contactName, "Priya");
  assert.equal(store.rows.get(id(2)).contactName, "Contact 2");
  store.apply({ event: "contact_updated", data: { contactId: "d", contactName: "Tom" } }, 1_000);
  assert.equal(store.rows.get(id(2)).contactName, "Tom");
  const next = { callId: id(3), contactId: "d", contactName: "Tom Vane", direction: "inbound", startTime: call(3).startTime };
  store.apply({ event: "call_initiated", data: next }, 1_000);
  assert.equal(store.rows.get(id(2)).contactName, "Tom Vane", "as its latest call says");
});

test("a list that is not scrolled drops its oldest rows, and the next pages bring them back", () => {
  let state = 11;
  const random = (below) => (state = (state * 1103515245 + 12345) % 2 ** 31) % below;
  const server = Array.from({ length: 30 }, (_, number) => call(number, random(200)));
  const listed = () => [...server].sort((a, b) => b.startTime.localeCompare(a.startTime) || b.callId.localeCompare(a.callId));
  store = new CallStore({ schedule: (run) => run(), maxRows: 40, keptRows: 20 });
  store.replace(listed(), { total: 30, isLast: true });
  while (server.length < 500) {
    server.push(call(server.length, random(200)));
    arrive(server.at(-1));
    store.release(1_000);
    assert.ok(store.rows.size <= 41);
    assert.equal(store.total, server.length);
  }
  assert.ok(!store.isComplete);
  while (!store.isComplete) {
    const calls = listed();
    const from = calls.findIndex(({ callId }) => callId === store.pageCursor) + 1;
    store.append(calls.slice(from, from + 50), { total: server.length, isLast: from + 50 >= calls.length });
  }
  assert.deepEqual([...store.order].sort(), server.map(({ callId }) => callId).sort());
});

const historic = (...calls) =>
  calls.flatMap(events).forEach(({ data, ...event }) => store.apply({ ...event, data: { ...data, historic: true } }, 1_000));

test("a historic call goes to its place by start time, and is not new", () => {
  store.replace(history(30, 20, 10), { total: 3, isLast: true });
  arrive(call(5));
  historic(call(15), call(40), call(1));
  assert.deepEqual(numbers(), [5, 40, 30, 20, 15, 10, 1]);
  assert.equal(store.rows.get(id(15)).shownAtMs, undefined);
  assert.equal(store.rows.get(id(15)).status, "completed");
  assert.equal(store.total, 7);
});

test("a historic call older than the loaded pages is counted, and comes with its page", () => {
  store.replace(history(30, 20), { total: 4 });
  historic(call(15));
  assert.deepEqual(numbers(), [30, 20]);
  assert.equal(store.total, 5);
  store.append(history(18, 15, 10), { isLast: true });
  assert.deepEqual(numbers(), [30, 20, 18, 15, 10]);
});

test("historic calls wait while the list is held, without being announced as new", () => {
  store.replace(history(30, 10), { total: 2, isLast: true });
  store.hold();
  historic(call(20));
  arrive(call(5));
  assert.deepEqual([numbers(), store.waitingCount], [[30, 10], 1]);
  store.release();
  assert.deepEqual(numbers(), [5, 30, 20, 10]);
});

test("a historic call that arrives while a page is loading is kept, whether the page includes it or not", () => {
  store.replace(history(30, 10), { total: 2, isLast: true });
  store.expectFirstPage();
  historic(call(20), call(25));
  store.replace(history(30, 25, 10), { total: 3, isLast: true });
  assert.deepEqual(numbers(), [30, 25, 20, 10]);
  assert.equal(store.total, 4);
});

const update = (number, change) => {
  const { callId, contactName, startTime, status, duration, summary } = call(number);
  const values = { contactName, startTime, status, duration, summary, agentName: null, endTime: startTime };
  store.apply({ event: "call_updated", data: { callId, changed: Object.keys(change), ...values, ...change } }, 1_000);
};

test("a changed call changes its row, and moves if its start has changed", () => {
  store.replace(history(30, 20, 10), { total: 3, isLast: true });
  update(20, { summary: "Mended", status: "failed" });
  assert.deepEqual([store.rows.get(id(20)).summary, store.rows.get(id(20)).status], ["Mended", "failed"]);
  assert.deepEqual(numbers(), [30, 20, 10]);
  update(20, { startTime: time(50) });
  assert.deepEqual(numbers(), [20, 30, 10]);
  update(99, { summary: "of a call that is not loaded" });
  assert.deepEqual(numbers(), [20, 30, 10]);
});

test("the next page begins after the last row that did not move", () => {
  store.replace(history(30, 20, 10), { total: 9 });
  update(10, { startTime: time(40) });
  assert.deepEqual(numbers(), [10, 30, 20]);
  assert.equal(store.pageCursor, id(20));
});

test("a recording's status follows its events", () => {
  store.replace([{ ...call(1), recordings: [], recordingStatus: "pending", warnings: [{ code: "x" }] }], { total: 1 });
  assert.deepEqual([store.rows.get(id(1)).recordingStatus, store.rows.get(id(1)).hasWarnings], ["pending", true]);
  store.apply({ event: "recording_failed", data: { callId: id(1) } }, 1_000);
  assert.equal(store.rows.get(id(1)).recordingStatus, "failed");
  store.apply({ event: "call_recording_ready", data: { callId: id(1), recordingId: "r", duration: 1 } }, 1_000);
  assert.deepEqual([store.rows.get(id(1)).recordingStatus, store.rows.get(id(1)).recordings.length], ["stored", 1]);
});

test("a row takes over what only its call says", () => {
  store.replace([], { total: 0 });
  arrive(call(1));
  store.learn({ callId: id(1), recordingStatus: "pending", warnings: [{ code: "x" }] });
  assert.deepEqual([store.rows.get(id(1)).recordingStatus, store.rows.get(id(1)).hasWarnings], ["pending", true]);
  store.learn({ callId: id(1), recordingStatus: "stored", warnings: [{ code: "not_playable" }] });
  assert.deepEqual([store.rows.get(id(1)).recordingStatus, store.rows.get(id(1)).hasWarnings], ["stored", false], "the player says that");
  store.learn({ callId: id(9), recordingStatus: "pending" });
  assert.equal(store.rows.size, 1);
});

const erase = (event, data) => store.apply({ event, data }, 1_000);

test("what is erased leaves the list, wherever it is", () => {
  store.replace(history(40, 30, 20, 10), { total: 9 });
  store.hold();
  arrive(call(5), call(6));
  erase("call_deleted", { callId: id(30) });
  erase("call_deleted", { callId: id(5) });
  erase("call_deleted", { callId: id(99) });
  store.release();
  assert.deepEqual(numbers(), [6, 40, 20, 10]);
  assert.equal(store.total, 9);
  erase("call_deleted", { callId: id(10) });
  assert.equal(store.pageCursor, id(20));
  erase("contact_deleted", { contactId: store.rows.get(id(20)).contactId });
  assert.equal(store.rows.has(id(20)), false);
});

test("calls from before the time that is kept leave the list", () => {
  store.replace(history(40, 30, 20), { total: 3, isLast: true });
  erase("calls_expired", { before: time(30) });
  assert.deepEqual(numbers(), [40, 30]);
  assert.equal(store.total, 2);
});
