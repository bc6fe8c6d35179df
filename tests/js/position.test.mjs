import assert from "node:assert/strict";
import { test } from "node:test";

import { advance, behind, resumeToken, START } from "../../static/js/live/position.js";

const ORG = "0123456789abcdef01234567";
const hello = (seq, head = seq, organizationId = ORG) => ({ event: "hello", seq, head, organizationId, heartbeat: 20 });
const event = (seq, name = "call_initiated") => ({
  event: name,
  seq,
  id: `x:${seq}`,
  at: "2026-05-15T09:12:34.000Z",
  data: {},
});

const standing = (seq, head = seq, epoch = null) => ({ seq, epoch, head, organizationId: ORG });
const EPOCH = "3f2a9c0d4e5b61728394a5b6c7d8e9f0";

test("the first hello sets the position", () => {
  assert.deepEqual(advance(START, hello(1041, 1041)), { step: "begin", position: standing(1041) });
});

test("the hello of a resumed connection tells how many events are missing", () => {
  const { step, position } = advance(standing(1041), hello(1041, 1053));
  assert.equal(step, "resume");
  assert.equal(behind(position), 12);
});

test("only the next number is applied", () => {
  assert.equal(advance(standing(7), event(8)).step, "apply");
  assert.equal(advance(standing(7), event(7)).step, "repeat");
  assert.equal(advance(standing(7), event(1)).step, "repeat");
  assert.equal(advance(standing(7), event(9)).step, "gap");
});

test("a gap does not change the position, so that the next connection asks for the missing event", () => {
  assert.equal(advance(standing(7), event(9)).position.seq, 7);
});

test("an event with an unknown name is applied like any other", () => {
  assert.deepEqual(advance(standing(7), event(8, "call_transferred")), { step: "apply", position: standing(8) });
});

test("after a resync events continue from its number, forward or back", () => {
  for (const seq of [3, 900]) {
    const { step, position } = advance(standing(7), { event: "resync", seq, reason: "retention" });
    assert.equal(step, "resync");
    assert.equal(position.seq, seq);
  }
});

test("after a resync the page is not behind, whatever its position was", () => {
  for (const seq of [900, 2000]) {
    const { position } = advance(standing(1041), { event: "resync", seq, reason: "restored" });
    assert.deepEqual([position, behind(position)], [standing(seq), 0]);
  }
});

test("a hello with another number than the one asked for is a resync", () => {
  assert.equal(advance(standing(7), hello(20)).step, "resync");
});

test("the resync that follows such a hello is a repeat", () => {
  const { position } = advance(standing(7), hello(20));
  assert.deepEqual(advance(position, { event: "resync", seq: 20, reason: "gone" }), { step: "repeat", position });
});

test("a hello of another organization resets the position", () => {
  assert.deepEqual(advance(standing(7), hello(7, 7, "f".repeat(24))), { step: "other-organization", position: START });
});

test("the epoch of the hello is kept with the number, and both are sent to resume", () => {
  let { position } = advance(START, { ...hello(7), epoch: EPOCH });
  assert.deepEqual(position, standing(7, 7, EPOCH));
  for (const message of [event(8), { event: "resync", seq: 20, reason: "x" }]) ({ position } = advance(position, message));
  assert.equal(resumeToken(position), `${EPOCH}.20`);
});

test("without an epoch only the number is sent to resume", () => {
  for (const epoch of [undefined, null, "", 17, "not hex", "a".repeat(33)]) {
    assert.equal(resumeToken(advance(START, { ...hello(7), epoch }).position), "7", String(epoch));
  }
  assert.equal(resumeToken(START), null);
});

test("a hello of another epoch is a resync even if the number is the same, and its resync is a repeat", () => {
  const { step, position } = advance(standing(7, 7, EPOCH), { ...hello(7), epoch: "b0" });
  assert.deepEqual([step, position], ["resync", standing(7, 7, "b0")]);
  assert.equal(advance(position, { event: "resync", seq: 7, reason: "another epoch" }).step, "repeat");
});

test("a resync of another epoch is one even if the number is the same, and its epoch is kept", () => {
  const message = { event: "resync", epoch: "b0", seq: 7, reason: "restored" };
  assert.deepEqual(advance(standing(7, 9, EPOCH), message), { step: "resync", position: standing(7, 7, "b0") });
  assert.equal(advance(standing(7, 9, "b0"), message).step, "repeat");
});

test("a server that starts or stops to send an epoch is resumed", () => {
  assert.equal(advance(standing(7), { ...hello(7), epoch: EPOCH }).step, "resume");
  assert.equal(advance(standing(7, 7, EPOCH), hello(7)).step, "resume");
});

test("a message that is not part of the protocol changes nothing", () => {
  for (const message of [
    null,
    3,
    "x",
    [],
    {},
    { event: "hello" },
    { event: 3, seq: 8 },
    { event: "x", seq: 1.5 },
    { seq: "8" },
  ]) {
    assert.deepEqual(advance(standing(7), message), { step: "unknown", position: standing(7) });
  }
});

test("whatever is dropped, repeated or reordered, every event is applied once and in order", () => {
  let state = 20260515;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 200; round += 1) {
    const applied = [];
    let position = advance(START, hello(0, 0)).position;
    while (position.seq < 40) {
      // One connection: the server replays from the position, and the network mangles the events.
      position = advance(position, hello(position.seq, 40)).position;
      for (let seq = position.seq + 1; seq <= 40; seq += 1) {
        const sent = random() < 0.05 ? [] : random() < 0.1 ? [seq, seq] : random() < 0.05 ? [seq + 1, seq] : [seq];
        const steps = sent.map((number) => {
          const { step, position: next } = advance(position, event(number));
          position = next;
          if (step === "apply") applied.push(number);
          return step;
        });
        if (steps.includes("gap")) break;
      }
    }
    assert.deepEqual(
      applied,
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
  }
});
