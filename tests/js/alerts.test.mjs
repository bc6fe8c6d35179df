import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { matchFilter, parseFilter } from "../../static/js/search/filter.js";
import { Alerts } from "../../static/js/state/alerts.js";

const filter = (text) => parseFilter(new URLSearchParams(text));
const storage = (items = new Map()) => ({ getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) });

let given, stored, alerts, send, feed;
beforeEach(() => {
  given = [];
  stored = storage();
  alerts = make();
  feed = {
    live: { status: "live" },
    listen: (listener) => ((send = listener), () => (send = () => {})),
    matches: async (rule, row) => matchFilter(rule, row, 0) === "match",
  };
  alerts.watch(feed);
});

const make = () =>
  new Alerts({ storage: stored, playSound: () => given.push("sound"), showNotification: (title) => given.push(title), schedule: (run) => run() });

async function call(change = {}) {
  const { callId = "c", status = "completed", ...rest } = change;
  const begun = { callId, contactName: "Priya", direction: "inbound", startTime: "2026-05-15T09:00:00.000Z", ...rest };
  send({ event: "call_initiated", data: begun });
  send({ event: "call_ended", data: { callId, status, duration: 3, summary: "s" } });
  await new Promise((resolve) => setImmediate(resolve));
}

test("without a rule there is no alert", async () => {
  await call();
  assert.deepEqual(given, []);
});

test("an alert has the name that the contact was given while the call was arriving", async () => {
  alerts.set(filter(""), { desktop: true });
  send({ event: "call_initiated", data: { callId: "c", contactId: "d", contactName: "Unknown Caller", direction: "inbound" } });
  send({ event: "contact_updated", data: { contactId: "d", contactName: "Tom" } });
  send({ event: "call_ended", data: { callId: "c", status: "busy" } });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(given, ["Tom"]);
});

test("a rule alerts for the calls that match its filter, once for a burst", async () => {
  alerts.set(filter("status=busy"), { desktop: true });
  alerts.set(filter("status=busy"), { sound: true });
  await call();
  await call({ callId: "d", status: "busy" });
  await call({ callId: "e", status: "busy" });
  assert.deepEqual(given, ["sound", "Priya"]);
});

test("there are no alerts while catching up", async () => {
  alerts.set(filter(""), { desktop: true });
  feed.live.status = "catching-up";
  await call();
  assert.deepEqual(given, []);
});

test("rules are stored, and removed when both alerts are off", () => {
  alerts.set(filter("status=busy"), { sound: true });
  assert.deepEqual(make().rule(filter("status=busy")), { desktop: false, sound: true });
  alerts.set(filter("status=busy"), { sound: false });
  assert.equal(make().rules.size, 0);
});

test("stored data in another format is ignored", () => {
  stored.setItem("tether.alerts", '{"not": "ours"}');
  assert.equal(make().rules.size, 0);
  stored.setItem("tether.alerts", "[[1, null]]");
  assert.equal(make().rules.size, 0);
});

test("a historic call gives no alert", async () => {
  alerts.set(filter(""), { desktop: true });
  await call({ historic: true });
  assert.deepEqual(given, []);
});
