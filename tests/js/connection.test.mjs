// The connection with a fake socket and a fake clock.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { LiveConnection } from "../../static/js/live/connection.js";

const URL_ = "ws://127.0.0.1/ws";
const ORG = "0123456789abcdef01234567";

class World {
  nowMs = 0;
  sockets = [];
  timers = new Set();

  constructor() {
    const world = this;
    this.env = {
      WebSocket: class {
        constructor(url, protocols) {
          Object.assign(this, { url, protocols, isClosed: false });
          world.sockets.push(this);
        }
        close() {
          this.isClosed = true;
        }
      },
      setTimeout: (run, ms) => {
        const timer = { run, at: world.nowMs + ms };
        world.timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => world.timers.delete(timer),
      now: () => world.nowMs,
      random: () => 1,
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  pass(ms) {
    const until = this.nowMs + ms;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers.delete(due);
      this.nowMs = due.at;
      due.run();
    }
    this.nowMs = until;
  }

  say(message) {
    this.socket.onmessage({ data: JSON.stringify(message) });
  }

  hello(seq, head = seq, organizationId = ORG, epoch = undefined) {
    this.say({ event: "hello", seq, head, organizationId, heartbeat: 20, epoch });
  }

  event(seq) {
    this.say({ event: "call_ended", seq, id: `c:${seq}`, at: "2026-05-15T09:12:34.000Z", data: { callId: "c" } });
  }

  drop(code) {
    this.socket.onclose({ code });
  }
}

let world, live, received, valid;

beforeEach(() => {
  world = new World();
  received = [];
  valid = Promise.resolve(true);
  live = new LiveConnection(
    URL_,
    {
      onBegin: () => received.push("begin"),
      onEvent: ({ seq }) => received.push(seq),
      onResync: () => received.push("resync"),
      onOrganizationChange: () => received.push("other organization"),
      onRoleChange: () => received.push("other role"),
      onSessionExpired: () => received.push("expired"),
      hasSession: () => valid,
    },
    { env: world.env, schedule: (run) => run() },
  );
  live.start();
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the first connection asks for no position and offers the subprotocol", () => {
  assert.equal(world.socket.url, URL_);
  assert.deepEqual(world.socket.protocols, ["tether.v1"]);
  assert.equal(live.status, "connecting");
  world.hello(1041);
  assert.equal(live.status, "live");
  assert.equal(live.position.seq, 1041);
  assert.deepEqual(received, ["begin"]);
});

test("a dropped socket resumes after the last event and says what it caught up on", () => {
  world.hello(5);
  world.event(6);
  world.drop(1006);
  assert.equal(live.status, "reconnecting");
  world.pass(1_000);
  assert.equal(world.socket.url, `${URL_}?after=6`);
  world.hello(6, 8);
  assert.equal(live.status, "catching-up");
  assert.equal(live.behind, 2);
  world.event(7);
  world.event(8);
  assert.equal(live.status, "live");
  assert.equal(live.caughtUp, 2);
  assert.deepEqual(received, ["begin", 6, 7, 8]);
  world.pass(10_000);
  assert.equal(live.caughtUp, 0);
});

for (const code of [1000, 1001, 1006, 1008, 4403, 4408]) {
  test(`close code ${code} reconnects`, () => {
    world.hello(5);
    world.drop(code);
    world.pass(20_000);
    assert.equal(world.socket.url, `${URL_}?after=5`);
  });
}

test("an orderly close is retried sooner than a failure", () => {
  const waits = [1001, 1006].map((code) => {
    world.hello(live.position.seq ?? 5);
    world.event(live.position.seq + 1);
    world.drop(code);
    const [timer] = world.timers;
    const waitMs = timer.at - world.nowMs;
    world.pass(waitMs);
    return waitMs;
  });
  assert.ok(waits[0] <= 500);
  assert.ok(waits[1] >= waits[0]);
});

test("close code 4401 ends the connection and reports the expired session", () => {
  world.hello(5);
  world.drop(4401);
  assert.equal(live.status, "ended");
  assert.deepEqual(received, ["begin", "expired"]);
  world.pass(3_600_000);
  assert.equal(world.sockets.length, 1);
});

test("a refused handshake checks the session", async () => {
  world.hello(5);
  world.drop(1006);
  world.pass(1_000);
  valid = Promise.resolve(false);
  world.drop(1006); // without a hello
  await settled();
  assert.equal(live.status, "ended");
  assert.deepEqual(received, ["begin", "expired"]);
});

test("an unreachable server is retried with growing delays", async () => {
  valid = Promise.reject(new Error("away"));
  const waits = [];
  for (let round = 0; round < 8; round += 1) {
    world.drop(1006);
    await settled();
    const [timer] = world.timers;
    waits.push(timer.at - world.nowMs);
    world.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  world.hello(5);
  assert.equal(live.status, "live");
});

test("a server that closes each connection at once is retried with growing delays", () => {
  for (let round = 0; round < 6; round += 1) {
    world.hello(5);
    world.drop(1001);
    const [timer] = world.timers;
    world.pass(timer.at - world.nowMs);
  }
  assert.ok(world.nowMs > 20_000);
});

test("a gap reconnects from the last event and applies nothing after it", () => {
  world.hello(5);
  world.event(8);
  assert.ok(world.socket.isClosed);
  world.pass(1_000);
  assert.equal(world.socket.url, `${URL_}?after=5`);
  assert.deepEqual(received, ["begin"]);
});

test("a connection without a hello is a failed attempt", () => {
  world.pass(10_000);
  assert.ok(world.sockets[0].isClosed);
  world.pass(1_000);
  assert.equal(world.sockets.length, 2);
});

test("messages of a replaced socket are ignored", () => {
  world.hello(5);
  const [old] = world.sockets;
  world.pass(6_000);
  live.renew();
  old.onmessage({ data: JSON.stringify({ event: "call_ended", seq: 6, data: {} }) });
  old.onclose({ code: 1006 });
  world.hello(5, 6);
  world.event(6);
  assert.deepEqual(received, ["begin", 6]);
  assert.equal(world.sockets.length, 2);
});

test("a quick renewal is not shown, a slow one is", () => {
  world.hello(5);
  world.pass(6_000);
  live.renew();
  assert.equal(live.status, "live");
  world.pass(3_000);
  assert.equal(live.status, "reconnecting");
  world.hello(5);
  assert.equal(live.status, "live");
});

test("a renewal during a delay connects at once", () => {
  world.hello(5);
  world.drop(1006);
  live.renew();
  assert.equal(world.socket.url, `${URL_}?after=5`);
});

// The longest time without a message before the session is checked: two and a half heartbeats, as `random` is 1.
const CHECK_MS = 50_000;

async function passQuietly(ms) {
  for (let doneMs = 0; doneMs < ms; doneMs += 1_000) {
    world.pass(1_000);
    await settled();
  }
}

test("without messages the session is checked, and the connection is renewed only after a long silence", async () => {
  let asked = 0;
  world.hello(5);
  valid = { then: (...then) => ((asked += 1), Promise.resolve(true).then(...then)) };
  await passQuietly(290_000);
  assert.deepEqual([asked, world.sockets.length, live.status], [5, 1, "live"]);
  await passQuietly(11_000);
  assert.equal(world.sockets.length, 2);
});

test("a connection that delivers messages is not checked", async () => {
  valid = Promise.reject(new Error("asked"));
  valid.catch(() => {});
  world.hello(5);
  for (let seq = 6; seq < 16; seq += 1) {
    await passQuietly(CHECK_MS - 1_000);
    world.event(seq);
  }
  assert.deepEqual([world.sockets.length, live.status], [1, "live"]);
});

test("a dead connection is renewed when the session check gets no response", async () => {
  valid = new Promise(() => {});
  world.hello(5);
  await passQuietly(CHECK_MS + 4_000);
  assert.deepEqual([world.sockets.length, world.socket.url], [2, `${URL_}?after=5`]);
  await passQuietly(2_000);
  assert.equal(live.status, "reconnecting");
});

test("a connection is renewed when the session check fails", async () => {
  valid = Promise.reject(new Error("unreachable"));
  valid.catch(() => {});
  world.hello(5);
  await passQuietly(CHECK_MS);
  assert.equal(world.sockets.length, 2);
});

test("a session that has ended ends the connection", async () => {
  valid = Promise.resolve(false);
  world.hello(5);
  await passQuietly(CHECK_MS);
  assert.deepEqual([live.status, received], ["ended", ["begin", "expired"]]);
});

test("the heartbeat is the one that the server names", async () => {
  valid = new Promise(() => {});
  world.say({ event: "hello", seq: 5, organizationId: ORG, heartbeat: 2 });
  await passQuietly(9_000);
  assert.equal(world.sockets.length, 2);
});

test("after a resync the calls are loaded again and events continue", () => {
  world.hello(5);
  world.drop(1006);
  world.pass(1_000);
  world.hello(5, 50);
  world.say({ event: "resync", seq: 50, reason: "gone" });
  world.event(51);
  assert.deepEqual(received, ["begin", "resync", 51]);
  assert.equal(live.status, "live");
});

test("a server that sends an epoch is asked to resume from epoch and number", () => {
  world.hello(5, 5, ORG, "1a2b");
  world.event(6);
  world.drop(1006);
  world.pass(1_000);
  assert.equal(world.socket.url, `${URL_}?after=1a2b.6`);
});

test("a restored database is loaded again, also when its number is the same, and resumed under its own epoch", () => {
  world.hello(5, 5, ORG, "1a2b");
  world.drop(1006);
  world.pass(1_000);
  world.hello(5, 5, ORG, "3c4d");
  world.say({ event: "resync", seq: 5, reason: "another epoch" });
  assert.deepEqual([received, live.status], [["begin", "resync"], "live"]);
  world.drop(1006);
  world.pass(1_000);
  assert.equal(world.socket.url, `${URL_}?after=3c4d.5`);
});

test("a connection that is told to go back to an earlier number is live, not behind", () => {
  world.hello(1041);
  world.say({ event: "resync", seq: 900, reason: "restored" });
  assert.deepEqual([received, live.status, live.behind], [["begin", "resync"], "live", 0]);
});

test("a hello of another organization stops the connection", () => {
  world.hello(5);
  world.drop(1006);
  world.pass(1_000);
  world.hello(5, 5, "f".repeat(24));
  assert.deepEqual(received, ["begin", "other organization"]);
  assert.equal(live.status, "idle");
});

test("stopping leaves no timer and no socket", () => {
  world.hello(5);
  live.stop();
  live.stop();
  assert.equal(world.timers.size, 0);
  assert.ok(world.socket.isClosed);
});
