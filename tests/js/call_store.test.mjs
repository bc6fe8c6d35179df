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

test("a call's events make one row that ends up whole", () => {
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

test("a row is replaced, never changed, so that a view sees by identity what is new", () => {
  store.replace([], { total: 0 });
  store.apply(events(call(1))[0], 1_000);
  const before = store.rows.get(id(1));
  store.apply(events(call(1))[1], 1_000);
  assert.notEqual(store.rows.get(id(1)), before);
  assert.equal(before.status, undefined);
});

test("what arrives stands on top, the latest first, whenever it began", () => {
  store.replace(history(30, 20, 10), { total: 3 });
  arrive(call(40), call(5));
  assert.deepEqual(numbers(), [5, 40, 30, 20, 10]);
});

test("a call that comes by event and by history is there once, in either order", () => {
  arrive(call(3));
  store.replace(history(3, 2, 1), { total: 3 });
  assert.deepEqual(numbers(), [3, 2, 1]);
  arrive(call(3), call(2));
  assert.deepEqual(numbers(), [3, 2, 1]);
  assert.equal(store.total, 3);
});

test("a call that arrives while the first page is under way is kept, whether the page has it or not", () => {
  store.expectFirstPage();
  arrive(call(8), call(9));
  store.replace(history(8, 2, 1), { total: 3 });
  assert.deepEqual(numbers(), [9, 8, 2, 1]);
  assert.equal(store.total, 4);
});

test("loading afresh forgets what is no longer on the first page", () => {
  store.replace(history(3, 2, 1), { total: 3 });
  store.expectFirstPage();
  store.replace(history(103, 102, 101), { total: 103 });
  assert.deepEqual(numbers(), [103, 102, 101]);
  assert.ok(!store.isComplete);
});

test("the events of a call that is further down than the page are left to its page", () => {
  store.replace(history(9), { total: 40 });
  store.apply(events(call(1))[1], 1_000);
  assert.deepEqual(numbers(), [9]);
  assert.equal(store.total, 40);
});

test("an event that this page does not know, or that names no call, changes nothing", () => {
  store.replace(history(1), { total: 1 });
  const { version } = store;
  for (const event of ["call_transferred", "constructor", "toString"]) store.apply({ event, data: { callId: id(1) } }, 0);
  store.apply({ event: "call_initiated", data: {} }, 0);
  assert.equal(store.version, version);
});

test("an empty page ends the history even when the count was wrong", () => {
  store.replace(history(2, 1), { total: 5 });
  assert.ok(!store.isComplete);
  store.extend([], { total: 5 });
  assert.ok(store.isComplete);
});

test("pages and arrivals in any order: every call of the server is in the list, once", () => {
  let state = 7;
  const random = (below) => (state = (state * 1103515245 + 12345) % 2 ** 31) % below;
  for (let round = 0; round < 100; round += 1) {
    // A server whose calls begin at odd times, so that many an arrival stands far down in its history.
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
        const from = calls.findIndex(({ callId }) => callId === store.frontierId) + 1;
        store.extend(calls.slice(from, from + 5), { total: server.length, isLast: from + 5 >= calls.length });
      }
    }
    assert.equal(new Set(store.order).size, store.order.length);
    assert.deepEqual([...store.order].sort(), server.map(({ callId }) => callId).sort());
  }
});

test("while the list is held, what arrives waits, and goes on top when it is released", () => {
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

test("a call that waits and comes with a page is there once", () => {
  store.replace(history(9), { total: 2 });
  store.hold();
  arrive(call(5));
  store.extend(history(5), { total: 2, isLast: true });
  assert.deepEqual(numbers(), [9]);
  store.release();
  assert.deepEqual(numbers(), [5, 9]);
});

const judged = (judge) => {
  const asked = [];
  store = new CallStore({ schedule: (run) => run(), judge, onAsk: (row) => asked.push(row.callId) });
  return asked;
};

test("a call that the view leaves out is not counted, and its later events change nothing", () => {
  judged(({ callId }) => (Number(callId) % 2 ? "out" : "in"));
  store.replace([], { total: 0 });
  arrive(call(1), call(2), call(3));
  assert.deepEqual(numbers(), [2]);
  assert.equal(store.total, 1);
});

test("a call is judged again with each event until the view can tell", () => {
  judged(({ status }) => (status === undefined ? "open" : status === "completed" ? "in" : "out"));
  store.replace([], { total: 0 });
  const [begun, ended, recorded] = events(call(1));
  store.apply(begun, 0);
  assert.deepEqual(numbers(), []);
  store.apply(ended, 0);
  assert.deepEqual(numbers(), [1]);
  store.apply(recorded, 0);
  assert.equal(store.rows.get(id(1)).recordings.length, 1);
});

test("a call whose words must be looked into is asked about once, and keeps what came meanwhile", () => {
  const asked = judged(({ status }) => (status ? "ask" : "open"));
  store.replace([], { total: 0 });
  arrive(call(1), call(2));
  assert.deepEqual(asked, [id(1), id(2)]);
  store.decide(id(1), false);
  store.decide(id(2), true);
  store.decide(id(2), true);
  assert.deepEqual(numbers(), [2]);
  assert.equal(store.rows.get(id(2)).recordings.length, 1);
});

test("another view drops what was undecided in the last one", () => {
  judged(() => "ask");
  store.replace([], { total: 0 });
  arrive(call(1));
  store.expectOtherView();
  store.decide(id(1), true);
  assert.deepEqual(numbers(), []);
});

test("a new name of a contact is in all their rows", () => {
  store.replace([{ ...call(1), contactId: "c" }, { ...call(2), contactId: "d" }], { total: 2 });
  store.rename("c", "Priya");
  assert.equal(store.rows.get(id(1)).contactName, "Priya");
  assert.equal(store.rows.get(id(2)).contactName, "Contact 2");
});

test("a page that is only looked at forgets the oldest rows, and the next pages bring them back", () => {
  let state = 11;
  const random = (below) => (state = (state * 1103515245 + 12345) % 2 ** 31) % below;
  const server = Array.from({ length: 30 }, (_, number) => call(number, random(200)));
  const listed = () => [...server].sort((a, b) => b.startTime.localeCompare(a.startTime) || b.callId.localeCompare(a.callId));
  store = new CallStore({ schedule: (run) => run(), maxRows: 40, keptRows: 20 });
  store.replace(listed(), { total: 30, isLast: true });
  while (server.length < 500) {
    server.push(call(server.length, random(200)));
    arrive(server.at(-1));
    assert.ok(store.rows.size <= 41);
    assert.equal(store.total, server.length);
  }
  assert.ok(!store.isComplete);
  while (!store.isComplete) {
    const calls = listed();
    const from = calls.findIndex(({ callId }) => callId === store.frontierId) + 1;
    store.extend(calls.slice(from, from + 50), { total: server.length, isLast: from + 50 >= calls.length });
  }
  assert.deepEqual([...store.order].sort(), server.map(({ callId }) => callId).sort());
});
