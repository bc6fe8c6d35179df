// What the drawing of a recording is made of. Pure: peaks are numbers from 0 to 255, evenly spread over the recording.

import { turnAt } from "./transcript.js";

const LOUD = 0.08; // of the loudest peak: what is softer is taken for silence
const SILENCE_S = 0.7; // a pause that is shorter belongs to speaking
const KEPT_S = 0.15; // of a silence at either end, so that no word is clipped

/** The loudest of each of `count` equal parts, as a share of the loudest of all. */
export function bars(peaks, count) {
  const most = peaks.reduce((loudest, peak) => Math.max(loudest, peak), 1);
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * peaks.length) / count);
    const to = Math.max(from + 1, Math.floor(((index + 1) * peaks.length) / count));
    return Math.max(0, ...peaks.slice(from, to)) / most;
  });
}

/** The silences worth skipping, as [from, to] in seconds. */
export function silences(peaks, lengthS) {
  const most = peaks.reduce((loudest, peak) => Math.max(loudest, peak), 1);
  const partS = lengthS / peaks.length;
  const found = [];
  let from = null;
  for (let index = 0; index <= peaks.length; index += 1) {
    const isSilent = index < peaks.length && peaks[index] < LOUD * most;
    if (isSilent) from ??= index;
    else if (from !== null) {
      const [startS, endS] = [from * partS, index * partS];
      if (endS - startS >= SILENCE_S) found.push([startS + KEPT_S, endS - KEPT_S]);
      from = null;
    }
  }
  return found;
}

/** Who speaks in each of `count` equal parts: a role, or null where no turn tells. */
export function speakers(turns, lengthS, count) {
  return Array.from({ length: count }, (_, index) => turns[turnAt(turns, ((index + 0.5) / count) * lengthS)]?.role ?? null);
}
