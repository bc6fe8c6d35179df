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

test("with a session the user is signed in, without one the sign-in form is shown", async () => {
  holder = { user: ROBIN };
  await session.check();
  assert.deepEqual([session.phase, session.user], ["signed-in", ROBIN]);
  holder = null;
  session.expire();
  assert.equal(session.phase, "signed-out");
  assert.match(session.message, /has ended/);
});

test("a returning user does not wait for the server", async () => {
  await session.signIn("a", "b");
  session.phase = "checking";
  holder = { user: { ...ROBIN, fullName: "Robin V." } };
  const checking = session.check();
  assert.equal(session.phase, "signed-in");
  await checking;
  assert.equal(session.user.fullName, "Robin V.");
});

test("a session that has ended is reported", async () => {
  await session.signIn("a", "b");
  holder = null;
  await session.check();
  assert.equal(session.phase, "signed-out");
  assert.match(session.message, /has ended/);
  assert.deepEqual([...items.keys()], ["tether.email"]);
  assert.equal(session.lastEmail, ROBIN.email);
});

test("an unreachable server signs nobody out", async () => {
  await session.signIn("a", "b");
  holder = new ApiError(503, "away");
  await session.check();
  assert.equal(session.phase, "signed-in");
});

test("signing out removes what was stored", async () => {
  await session.signIn("a", "b");
  await session.signOut();
  assert.equal(session.phase, "signed-out");
  assert.equal(session.message, null);
  assert.equal(items.size, 0);
});
