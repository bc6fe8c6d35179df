// The data of a waveform. Pure: peaks are numbers from 0 to 255, spread evenly over the recording.

import { turnAt } from "./transcript.js";

/** How opaque bars are that have not been played: at least 3 : 1 on the player's ground. */
export const UNPLAYED = 0.7;

const SILENCE_LEVEL = 0.08; // of the loudest peak: anything quieter is silence
const CLEARLY = 0.85; // of the louder channel: one that is louder than this is as loud
const MIN_SILENCE_S = 0.7; // a shorter pause is part of speech
const [SLOW_CHARS_PER_S, PAUSE_S] = [4, 2];
const MARGIN_S = 0.15; // kept at both ends of a silence, so that no word is clipped

/** The heights of `count` bars, from 0 to 1: the loudest peak in each, relative to the loudest of all. */
export function barHeights(peaks, count) {
  const max = loudest(peaks);
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * peaks.length) / count);
    const to = Math.max(from + 1, Math.floor(((index + 1) * peaks.length) / count));
    return Math.max(0, ...peaks.slice(from, to)) / max;
  });
}

/** The silences that can be skipped, as [from, to] in seconds. */
export function findSilences(peaks, durationS) {
  const max = loudest(peaks);
  const peakS = durationS / peaks.length;
  const found = [];
  let from = null;
  for (let index = 0; index <= peaks.length; index += 1) {
    const isSilent = index < peaks.length && peaks[index] < SILENCE_LEVEL * max;
    if (isSilent) from ??= index;
    else if (from !== null) {
      const [startS, endS] = [from * peakS, index * peakS];
      if (endS - startS >= MIN_SILENCE_S) found.push([startS + MARGIN_S, endS - MARGIN_S]);
      from = null;
    }
  }
  return found;
}

/** The role that speaks during each of `count` bars; null where that is not known. */
export function speakerPerBar(turns, durationS, count) {
  return Array.from({ length: count }, (_, index) => {
    const atS = ((index + 0.5) / count) * durationS;
    const turn = turns[turnAt(turns, atS)];
    return turn && atS <= latestEnd(turn) ? turn.role : null;
  });
}

/** The same of a recording with a channel for each side: whose is louder; null where none is, or where both are as loud. */
export function louderSpeakerPerBar(channels, turns, durationS, count) {
  const max = Math.max(...channels.map(loudest));
  const levels = channels.map((peaks) => barHeights(peaks, count).map((height) => (height * loudest(peaks)) / max));
  const roles = rolesOfChannels(channels, turns, durationS);
  return Array.from({ length: count }, (_, index) => {
    const [one, other] = levels.map((bars) => bars[index]);
    const isHeard = Math.max(one, other) >= SILENCE_LEVEL;
    if (!isHeard || Math.min(one, other) > CLEARLY * Math.max(one, other)) return null;
    return roles[one > other ? 0 : 1];
  });
}

// Nothing says which channel is whose. The turns do: in those of the agent, the agent's is the louder one.
function rolesOfChannels([one, other], turns, durationS) {
  const peakS = durationS / one.length;
  let lead = 0;
  turns.forEach((turn, index) => {
    if (!Number.isFinite(turn.timestamp)) return;
    const endS = Math.min(latestEnd(turn), turns[index + 1]?.timestamp ?? durationS);
    const [from, to] = [Math.floor(turn.timestamp / peakS), Math.ceil(endS / peakS)];
    const sum = (peaks) => peaks.slice(from, to).reduce((total, peak) => total + peak, 0);
    lead += (sum(one) - sum(other)) * (turn.role === "agent" ? 1 : -1);
  });
  return lead > 0 ? ["agent", "user"] : ["user", "agent"];
}

// Turns have no end: it is where even a slow speaker is done.
const latestEnd = ({ timestamp, message }) => timestamp + PAUSE_S + message.length / SLOW_CHARS_PER_S;

const loudest = (peaks) => peaks.reduce((max, peak) => Math.max(max, peak), 1);
