import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ApiError } from "../../static/js/api.js";
import { Session } from "../../static/js/state/session.js";

const ROBIN = { email: "robin@example.com", fullName: "Robin Vale" };
let items, holder, session;

beforeEach(() => {
  items = new Map();
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  const api = {
    whoAmI: async () => {
      if (holder instanceof Error) throw holder;
      return holder;
    },
    signIn: async () => ROBIN,
    signOut: async () => {},
  };
  session = new Session(api, { storage });
});

test("who has a session is in, and who has none is asked to sign in", async () => {
  holder = { user: ROBIN };
  await session.check();
  assert.deepEqual([session.phase, session.user], ["in", ROBIN]);
  holder = null;
  session.over();
  assert.equal(session.phase, "out");
  assert.match(session.notice, /has ended/);
});

test("who was signed in here before does not wait for the server's word", async () => {
  await session.signIn("a", "b");
  session.phase = "checking";
  holder = { user: { ...ROBIN, fullName: "Robin V." } };
  const checking = session.check();
  assert.equal(session.phase, "in");
  await checking;
  assert.equal(session.user.fullName, "Robin V.");
});

test("a session that ended meanwhile is said to have ended", async () => {
  await session.signIn("a", "b");
  holder = null;
  await session.check();
  assert.equal(session.phase, "out");
  assert.match(session.notice, /has ended/);
  assert.equal(items.size, 0);
});

test("a server that is away does not sign anybody out", async () => {
  await session.signIn("a", "b");
  holder = new ApiError(503, "away");
  await session.check();
  assert.equal(session.phase, "in");
});

test("signing out leaves nothing behind", async () => {
  await session.signIn("a", "b");
  await session.signOut();
  assert.equal(session.phase, "out");
  assert.equal(session.notice, null);
  assert.equal(items.size, 0);
});
