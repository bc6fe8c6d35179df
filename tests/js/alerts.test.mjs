import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { judge, readFilter } from "../../static/js/search/filter.js";
import { Notices } from "../../static/js/state/alerts.js";

const filter = (text) => readFilter(new URLSearchParams(text));
const storage = (items = new Map()) => ({ getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) });

let heard, kept, notices, tell, desk;
beforeEach(() => {
  heard = [];
  kept = storage();
  notices = make();
  desk = {
    live: { status: "live" },
    listen: (listener) => ((tell = listener), () => (tell = () => {})),
    belongs: async (rule, row) => judge(rule, row, 0) === "in",
  };
  notices.watch(desk);
});

const make = () =>
  new Notices({ storage: kept, chime: () => heard.push("chime"), notify: (title) => heard.push(title), schedule: (run) => run() });

async function call(change = {}) {
  const { callId = "c", status = "completed", ...rest } = change;
  const begun = { callId, contactName: "Priya", direction: "inbound", startTime: "2026-05-15T09:00:00.000Z", ...rest };
  tell({ event: "call_initiated", data: begun });
  tell({ event: "call_ended", data: { callId, status, duration: 3, summary: "s" } });
  await new Promise((resolve) => setImmediate(resolve));
}

test("nobody is told of anything they did not ask for", async () => {
  await call();
  assert.deepEqual(heard, []);
});

test("a rule tells of the calls of its view, and a burst is one notice", async () => {
  notices.set(filter("status=busy"), { desktop: true });
  notices.set(filter("status=busy"), { sound: true });
  await call();
  await call({ callId: "d", status: "busy" });
  await call({ callId: "e", status: "busy" });
  assert.deepEqual(heard, ["chime", "Priya"]);
});

test("what is caught up on is not news", async () => {
  notices.set(filter(""), { desktop: true });
  desk.live.status = "catching-up";
  await call();
  assert.deepEqual(heard, []);
});

test("rules are kept, and gone when nothing is wanted", () => {
  notices.set(filter("status=busy"), { sound: true });
  assert.deepEqual(make().rule(filter("status=busy")), { desktop: false, sound: true });
  notices.set(filter("status=busy"), { sound: false });
  assert.equal(make().rules.size, 0);
});

test("what another version kept does no harm", () => {
  kept.setItem("tether.notices", '{"not": "ours"}');
  assert.equal(make().rules.size, 0);
  kept.setItem("tether.notices", "[[1, null]]");
  assert.equal(make().rules.size, 0);
});
