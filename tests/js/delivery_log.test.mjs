import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { DeliveryLog } from "../../static/js/state/delivery_log.js";

let asked, all, log;

beforeEach(() => {
  asked = [];
  all = Array.from({ length: 60 }, (_, at) => ({ id: `d${at}`, sourceId: "s" }));
  const api = {
    deliveries: async (filter) => {
      asked.push(filter);
      const from = filter.before === undefined ? 0 : all.findIndex(({ id }) => id === filter.before) + 1;
      return { deliveries: all.slice(from, from + filter.limit), total: all.length };
    },
    deliveryReasons: async () => [],
    sources: async () => [{ id: "s", name: "Retell" }],
    replayDeliveries: async (filter, { plan }) => {
      asked.push(filter);
      if (plan) return { matching: 3 };
      return { replayed: 3, verdicts: { created: 3 }, resumeFrom: filter.from === undefined ? "2026-05-15T09:00:00.000Z" : null };
    },
  };
  log = new DeliveryLog(api, { schedule: (run) => run() });
});

test("pages follow each other until all are loaded", async () => {
  await log.reload();
  assert.deepEqual([log.items.length, log.total, log.hasMore], [50, 60, true]);
  await log.loadMore();
  assert.deepEqual([log.items.length, log.items.at(-1).id, log.hasMore], [60, "d59", false]);
});

test("a new filter is asked for, and its replay has the same conditions", async () => {
  log.setFilter({ code: "not_e164" });
  log.setFilter({ code: "not_e164" });
  assert.deepEqual(asked.at(-1), { code: "not_e164", limit: 50 });
  assert.equal(await log.countReplay(), 3);
  assert.deepEqual(asked.at(-1), { code: "not_e164" });
  log.setFilter({ date: "today" });
  const { from, to } = asked.at(-1);
  assert.ok(Date.parse(to) - Date.parse(from) >= 23 * 3_600_000);
});

test("a source is named, or is a user's key", async () => {
  await log.reload();
  assert.deepEqual([log.sourceName("s"), log.sourceName("other")], ["Retell", "A user's own key"]);
});

test("a failure is kept with what was loaded before", async () => {
  await log.reload();
  all = null;
  await log.reload();
  assert.ok(log.error);
  assert.equal(log.items.length, 50);
});

test("a replay that is too long for one request is continued where it stopped", async () => {
  const seen = [];
  await log.replay((done) => seen.push(done));
  assert.deepEqual(seen.map(({ replayed }) => replayed), [3, 6]);
  assert.deepEqual(seen.at(-1).verdicts, { created: 6 });
  assert.equal(asked.filter(({ limit }) => limit === undefined).at(-1).from, "2026-05-15T09:00:00.000Z");
});
