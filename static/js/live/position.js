// Where this page stands in the organization's sequence of events. Pure: a position and a message in, a step out.
//
// The server numbers events without gaps, so "the next number" is the whole proof that nothing was lost or repeated.

/**
 * @typedef {{seq: number | null, head: number, organizationId: string | null}} Position
 *     `seq`: the last event that was applied, null before the first hello; `head`: the last one the server had
 *     committed when it said hello, so `head - seq` events are still to be caught up on.
 * @typedef {"begin" | "resume" | "apply" | "repeat" | "gap" | "resync" | "stranger" | "unknown"} Step
 */

/** @type {Position} */
export const START = Object.freeze({ seq: null, head: 0, organizationId: null });

/**
 * What a message means for a page at `position`.
 *
 * - begin: the first hello; load the state by HTTP, events go on from `seq`
 * - resume: the hello of a later connection; events go on where the last one ended
 * - apply: the next event
 * - repeat: known already; drop it
 * - gap: something between was lost; connect again from `seq`
 * - resync: the place asked for is gone; load the state again, events go on from the new `seq`
 * - stranger: the session is now of another organization; nothing held here is valid
 * - unknown: no meaning here (a newer server's word); drop it
 *
 * @param {Position} position
 * @param {unknown} message a parsed JSON message
 * @returns {{step: Step, position: Position}}
 */
export function advance(position, message) {
  const seq = message?.seq;
  if (!Number.isSafeInteger(seq) || typeof message.event !== "string") return { step: "unknown", position };
  if (message.event === "hello") return hello(position, message);
  if (message.event === "resync") return resync(position, seq);
  if (position.seq === null) return { step: "gap", position }; // an event before the hello has no place
  if (seq <= position.seq) return { step: "repeat", position };
  if (seq > position.seq + 1) return { step: "gap", position };
  return { step: "apply", position: { ...position, seq, head: Math.max(position.head, seq) } };
}

/** How many events the server had committed that are not applied yet. */
export function behind(position) {
  return position.seq === null ? 0 : Math.max(0, position.head - position.seq);
}

function hello(position, { seq, head, organizationId = null }) {
  const next = { seq, head: Number.isSafeInteger(head) ? Math.max(head, seq) : seq, organizationId };
  if (position.seq === null) return { step: "begin", position: next };
  if (position.organizationId !== organizationId) return { step: "stranger", position: START };
  // A stream that goes on from another place than the one asked for leaves a hole: fill it by HTTP.
  if (seq !== position.seq) return { step: "resync", position: next };
  return { step: "resume", position: next };
}

function resync(position, seq) {
  // The server sends it again after a hello that started at another number. There is nothing more to load.
  if (seq === position.seq) return { step: "repeat", position };
  // The numbers may have gone back, after a restore, so the head that was known before means nothing.
  return { step: "resync", position: { ...position, seq, head: seq } };
}
