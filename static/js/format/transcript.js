// Reading a transcript against the clock of its recording. Pure.

import { clock } from "./time.js";
import { marked } from "../search/query.js";

export const isTimed = (turn) => Number.isFinite(turn?.timestamp);

/** The index of the turn that is being spoken at `seconds`; -1 before the first, or when no turn has a time. */
export function turnAt(turns, seconds) {
  let [found, foundS] = [-1, -Infinity];
  turns.forEach((turn, index) => {
    if (isTimed(turn) && turn.timestamp <= seconds && turn.timestamp >= foundS) [found, foundS] = [index, turn.timestamp];
  });
  return found;
}

/**
 * When a place in a turn's text is spoken, as if all its letters took the same time.
 *
 * @param {number} at how many characters of the turn come before it
 * @param {number} lengthS of the recording: the last turn ends with it
 * @returns {number | null} null when the turn has no time
 */
export function momentOf(turns, index, at, lengthS) {
  const turn = turns[index];
  if (!isTimed(turn)) return null;
  const later = turns.filter((other) => isTimed(other) && other.timestamp > turn.timestamp).map(({ timestamp }) => timestamp);
  const endS = Math.min(...later, Number.isFinite(lengthS) ? Math.max(lengthS, turn.timestamp) : Infinity);
  if (!Number.isFinite(endS)) return turn.timestamp;
  // A little early: a word that is cut off at its beginning is not understood.
  const shareS = (at / Math.max(1, turn.message.length)) * (endS - turn.timestamp) - 0.4;
  return turn.timestamp + Math.max(0, shareS);
}

/** Where the words of a search are: [{index, at}], index of the turn and characters before the word. */
export function hitsOf(turns, query) {
  if (query.length === 0) return [];
  return turns.flatMap(({ message }, index) =>
    marked(message, query)
      .filter(({ isHit }) => isHit)
      .map(({ at }) => ({ index, at })),
  );
}

/** A transcript as plain text for a file: "[0:12] Alex: …". */
export function transcriptText(turns, names) {
  return turns
    .map((turn) => `${isTimed(turn) ? `[${clock(turn.timestamp)}] ` : ""}${names[turn.role] ?? turn.role}: ${turn.message}\n`)
    .join("");
}
