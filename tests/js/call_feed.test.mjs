// The list is asked for while the socket is being opened: between the two nothing may be lost.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

const sockets = [];
globalThis.WebSocket = class {
  constructor() {
    sockets.push(this);
  }
  close() {}
};
globalThis.addEventListener = () => {};
globalThis.document = new EventTarget();
const { Desk } = await import("../../static/js/state/call_feed.js");

let asked, desk;
const turn = () => new Promise((done) => setImmediate(done));
const call = (callId) => ({ callId, startTime: "2026-05-15T09:12:34.000Z", direction: "inbound" });

const history = () => new Promise((answer, refuse) => asked.push({ answer, refuse }));
async function answer(seq, ...ids) {
  asked.shift().answer({ calls: ids.map(call), total: ids.length, totalIsExact: true, seq });
  await turn();
}
const say = (message) => sockets.at(-1).onmessage({ data: JSON.stringify(message) });
const hello = (seq) => say({ event: "hello", seq, organizationId: "x" });

beforeEach(() => {
  asked = [];
  desk = new Desk({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws" });
});
afterEach(() => desk.stop());

test("one question is enough when the events go on from what the list has", async () => {
  desk.start();
  await answer(7, "a");
  hello(7);
  assert.deepEqual([asked.length, desk.calls.order, desk.loading.first], [0, ["a"], "ready"]);
});

test("a list that is newer than where the events begin takes them twice and shows each once", async () => {
  desk.start();
  hello(6);
  await answer(7, "b", "a");
  say({ event: "call_initiated", seq: 7, data: { callId: "b", startTime: "2026-05-15T09:13:00.000Z" } });
  assert.deepEqual([asked.length, [...desk.calls.order].sort()], [0, ["a", "b"]]);
});

for (const [when, order] of Object.entries({ before: ["list", "hello"], after: ["hello", "list"] })) {
  test(`a list that ends before the events begin is asked for again; it came ${when} the hello`, async () => {
    desk.start();
    for (const step of order) {
      if (step === "hello") hello(10);
      else await answer(7, "a");
    }
    assert.equal(asked.length, 1);
    await answer(10, "b", "a");
    assert.deepEqual([asked.length, desk.calls.order], [0, ["b", "a"]]);
  });
}

test("what was asked for early is taken once, and only for the view that it is of", async () => {
  const early = { calls: [call("early")], total: 1, totalIsExact: true, seq: 3 };
  const firstPage = { question: "limit=50", answer: Promise.resolve(early) };
  desk = new Desk({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws", firstPage });
  desk.start();
  await turn();
  assert.deepEqual([asked.length, desk.calls.order], [0, ["early"]]);
  desk.reload();
  assert.equal(asked.length, 1);
  desk.stop();

  desk = new Desk({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws", firstPage });
  desk.setFilter({ status: "busy" });
  desk.start();
  assert.equal(asked.length, 2);
});
