// The list is requested while the WebSocket is being opened: no call may be lost between the two.

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
const { CallFeed } = await import("../../static/js/state/call_feed.js");

let asked, feed;
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
  feed = new CallFeed({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws" });
});
afterEach(() => feed.stop());

test("one request is enough if the events continue from the list", async () => {
  feed.start();
  await answer(7, "a");
  hello(7);
  assert.deepEqual([asked.length, feed.calls.order, feed.loading.first], [0, ["a"], "ready"]);
});

test("a call that is in the list and arrives as an event is listed once", async () => {
  feed.start();
  hello(6);
  await answer(7, "b", "a");
  say({ event: "call_initiated", seq: 7, data: { callId: "b", startTime: "2026-05-15T09:13:00.000Z" } });
  assert.deepEqual([asked.length, [...feed.calls.order].sort()], [0, ["a", "b"]]);
});

for (const [when, order] of Object.entries({ before: ["list", "hello"], after: ["hello", "list"] })) {
  test(`a list that ends before the events begin is requested again; it came ${when} the hello`, async () => {
    feed.start();
    for (const step of order) {
      if (step === "hello") hello(10);
      else await answer(7, "a");
    }
    assert.equal(asked.length, 1);
    await answer(10, "b", "a");
    assert.deepEqual([asked.length, feed.calls.order], [0, ["b", "a"]]);
  });
}

test("a prefetched page is used once, and only for its own filter", async () => {
  const early = { calls: [call("early")], total: 1, totalIsExact: true, seq: 3 };
  const firstPage = { params: "limit=50", response: Promise.resolve(early) };
  feed = new CallFeed({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws", firstPage });
  feed.start();
  await turn();
  assert.deepEqual([asked.length, feed.calls.order], [0, ["early"]]);
  feed.reload();
  assert.equal(asked.length, 1);
  feed.stop();

  feed = new CallFeed({ api: { history, hasSession: async () => true }, hubUrl: "ws://x/ws", firstPage });
  feed.setFilter({ status: "busy" });
  feed.start();
  assert.equal(asked.length, 2);
});
