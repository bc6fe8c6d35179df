// Relates a transcript to the time of its recording. Pure.

import { marksIn } from "../search/marks.js";
import { clock } from "./time.js";

const LEAD_S = 0.4; // playing starts a little before a word, because a clipped word is not understood

export const hasTime = (turn) => Number.isFinite(turn?.timestamp);

/** The index of the turn spoken at `seconds`; -1 before the first one, or if no turn has a time. */
export function turnAt(turns, seconds) {
  let [found, foundS] = [-1, -Infinity];
  turns.forEach((turn, index) => {
    if (hasTime(turn) && turn.timestamp <= seconds && turn.timestamp >= foundS) [found, foundS] = [index, turn.timestamp];
  });
  return found;
}

/**
 * Estimates when a word is spoken, as if all characters of its turn took the same time.
 *
 * @param {number} at number of characters before the word in its turn
 * @param {number} durationS of the recording, which ends the last turn
 * @returns {number | null} seconds; null if the turn has no time
 */
export function timeOfWord(turns, index, at, durationS) {
  const turn = turns[index];
  if (!hasTime(turn)) return null;
  const later = turns.filter((other) => hasTime(other) && other.timestamp > turn.timestamp).map(({ timestamp }) => timestamp);
  const endS = Math.min(...later, Number.isFinite(durationS) ? Math.max(durationS, turn.timestamp) : Infinity);
  if (!Number.isFinite(endS)) return turn.timestamp;
  const offsetS = (at / Math.max(1, turn.message.length)) * (endS - turn.timestamp) - LEAD_S;
  return turn.timestamp + Math.max(0, offsetS);
}

/** The turns that match a query as [{index, at, marks}]: the turn, characters before its first match, and all its matches. */
export function findMatches(turns, query) {
  return turns.flatMap(({ message }, index) => {
    const marks = marksIn(message, query);
    return marks.length > 0 ? [{ index, at: marks[0][0], marks }] : [];
  });
}

/** A transcript as plain text for a file: "[0:12] Alex: …". */
export function transcriptText(turns, names) {
  return turns
    .map((turn) => `${hasTime(turn) ? `[${clock(turn.timestamp)}] ` : ""}${names[turn.role] ?? turn.role}: ${turn.message}\n`)
    .join("");
}

/** What a machine did during a turn: the calls of tools as the vendor sent them, and their names, "lookup, book". */
export function toolCallsOf({ extra }) {
  const calls = Array.isArray(extra?.toolCalls) ? extra.toolCalls : [];
  const names = calls.map((call) => call?.name ?? call?.toolName ?? call?.tool_name ?? call?.function?.name);
  return { calls, names: names.filter((name) => typeof name === "string").join(", ") };
}
