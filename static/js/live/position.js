// The page's position in the organization's event sequence. Pure: takes a position and a message, returns a step.
//
// The server numbers events without gaps, so "the next number" proves that no event was lost or repeated.

/**
 * @typedef {object} Position
 * @property {number | null} seq the last event that was applied; null before the first hello
 * @property {string | null} epoch identifies the database that `seq` counts in; null with a server that sends none
 * @property {number} head the last event that the server had committed: `head - seq` events are still to come
 * @property {string | null} organizationId
 *
 * @typedef {"begin" | "resume" | "apply" | "repeat" | "gap" | "resync" | "other-organization" | "unknown"} Step
 */

/** @type {Position} */
export const START = Object.freeze({ seq: null, epoch: null, head: 0, organizationId: null });

/**
 * Decides what a message means for a page at `position`.
 *
 * - begin: the first hello; load the calls by HTTP, events continue from `seq`
 * - resume: a later connection's hello; events continue where the last connection ended
 * - apply: the next event
 * - repeat: an event that was applied already; drop it
 * - gap: an event is missing; reconnect from `seq`
 * - resync: the events after the old position are not available; load the calls again, events continue from the new `seq`
 * - other-organization: the session belongs to another organization now; discard everything
 * - unknown: not part of this version of the protocol; drop it
 *
 * @param {Position} position
 * @param {unknown} message a parsed JSON message
 * @returns {{step: Step, position: Position}}
 */
export function advance(position, message) {
  const seq = message?.seq;
  if (!Number.isSafeInteger(seq) || typeof message.event !== "string") return { step: "unknown", position };
  if (message.event === "hello") return hello(position, message);
  if (message.event === "resync") return resync(position, message);
  if (position.seq === null) return { step: "gap", position }; // no event comes before the hello
  if (seq <= position.seq) return { step: "repeat", position };
  if (seq > position.seq + 1) return { step: "gap", position };
  return { step: "apply", position: { ...position, seq, head: Math.max(position.head, seq) } };
}

/** The number of events that the server has committed and this page has not applied. */
export function behind(position) {
  return position.seq === null ? 0 : Math.max(0, position.head - position.seq);
}

/** The value of `?after=` that resumes from `position`; null before the first hello. */
export function resumeToken({ seq, epoch }) {
  if (seq === null) return null;
  return epoch === null ? String(seq) : `${epoch}.${seq}`;
}

function hello(position, { seq, epoch, head, organizationId = null }) {
  const next = {
    seq,
    epoch: validEpoch(epoch),
    head: Number.isSafeInteger(head) ? Math.max(head, seq) : seq,
    organizationId,
  };
  if (position.seq === null) return { step: "begin", position: next };
  if (position.organizationId !== organizationId) return { step: "other-organization", position: START };
  // The stream starts at another number than the one asked for, or counts in another database: the calls may differ.
  const isOtherEpoch = position.epoch !== null && next.epoch !== null && position.epoch !== next.epoch;
  if (seq !== position.seq || isOtherEpoch) return { step: "resync", position: next };
  return { step: "resume", position: next };
}

function resync(position, message) {
  const { seq } = message;
  const epoch = validEpoch(message.epoch) ?? position.epoch;
  // The server sends it also after a hello that was a resync. There is nothing more to load.
  if (seq === position.seq && epoch === position.epoch) return { step: "repeat", position };
  // The numbers may have gone back, after a restore, so the head that was known before means nothing.
  return { step: "resync", position: { ...position, seq, epoch, head: seq } };
}

const validEpoch = (value) => (typeof value === "string" && /^[0-9a-f]{1,32}$/.test(value) ? value : null);
