import assert from "node:assert/strict";
import { test } from "node:test";

import { commandFor, endsAfter, LIFETIMES, scopeNames } from "../../static/js/format/read_token.js";

const ADDRESS = "https://calls.example.com/tether";
const TOKEN = `tr_live_${"x".repeat(43)}`;

test("a command uses what the token reads, below the path of the server", () => {
  const events = `curl -H 'Authorization: Bearer ${TOKEN}' -N -H 'Accept: text/event-stream' '${ADDRESS}/api/feed'`;
  assert.equal(commandFor(ADDRESS, TOKEN, ["feed", "calls"]), events);
  assert.equal(commandFor(ADDRESS, TOKEN, ["calls"]), `curl -H 'Authorization: Bearer ${TOKEN}' '${ADDRESS}/api/calls/history?limit=10'`);
  assert.equal(commandFor(ADDRESS, TOKEN, ["recordings"]), null);
});

test("a token ends after its days, or never", () => {
  assert.equal(endsAfter(90, Date.UTC(2026, 4, 15)), "2026-08-13T00:00:00.000Z");
  assert.equal(endsAfter(null, 0), null);
  assert.equal(LIFETIMES.at(-1)[0], null);
});

test("scopes are named in one order", () => {
  assert.equal(scopeNames(["recordings", "feed"]), "Events, Recordings");
});
