// Where the words of a search stand in a text as it was written, and which sentences of a call have them. Pure. The rules are
// those of the server (domain/search_marks.py, domain/search_hits.py).

import { piecesOf } from "./pieces.js";
import { CLUSTER, isUnspaced, lineOf, normalize, SEGMENT, WORD } from "./words.js";

const MAX_HITS = 3;
const MAX_CHARS = 200; // of a hit's text
const CHARS_BEFORE = 60; // before the first word that is marked
const MAX_KNOWN = 4_096;
const plainForms = new Map(); // cluster → its plain form

function plainForm(cluster) {
  let plain = plainForms.get(cluster);
  if (plain === undefined) {
    if (plainForms.size === MAX_KNOWN) plainForms.clear();
    plain = normalize(cluster);
    plainForms.set(cluster, plain);
  }
  return plain;
}

/**
 * Where a text has one of the query's phrases; a word is marked to its end, also if only its beginning was typed.
 *
 * @returns {[number, number][]} [from, to], ascending, without overlaps
 */
export function marksIn(text, query) {
  const line = lineOf(text);
  const wanted = query.marked.filter((phrase) => line.includes(phrase.line)).map((phrase) => phrase.line);
  if (wanted.length === 0) return [];
  const places = placesOf(text);
  const spans = [];
  for (const one of wanted) {
    const [from, to] = [one.length - one.trimStart().length, one.trimEnd().length];
    for (let at = line.indexOf(one); at >= 0; at = line.indexOf(one, at + to)) spans.push([places[at + from][0], places[at + to - 1][1]]);
  }
  const joined = [];
  for (const [from, to] of spans.sort(([a, b], [c, d]) => a - c || b - d)) {
    const last = joined.at(-1);
    if (last && from < last[1]) last[1] = Math.max(to, last[1]);
    else joined.push([from, to]);
  }
  return joined;
}

// For each character of the `lineOf` a text, which part of the text is marked for it: a word, or a character.
function placesOf(text) {
  let plain = "";
  const origins = [];
  for (const { 0: cluster, index } of text.matchAll(CLUSTER)) {
    const piece = plainForm(cluster);
    for (let at = 0; at < piece.length; at += 1) origins.push([index, index + cluster.length]);
    plain += piece;
  }
  const places = [[0, 0]];
  for (const { 0: word, index } of plain.matchAll(WORD)) {
    for (const { 0: segment, index: offset } of word.matchAll(SEGMENT)) {
      const [at, end] = [index + offset, index + offset + segment.length];
      const whole = [origins[at][0], origins[end - 1][1]];
      for (let one = at; one < end; one += 1) places.push(isUnspaced(segment) ? origins[one] : whole);
      places.push([0, 0]);
    }
  }
  return places;
}

/** Splits a text into pieces that match the query and pieces that do not (`piecesOf`). */
export const highlight = (text, query) => piecesOf(text, marksIn(text, query));

/**
 * The sentences of a call that have the words of a search, as in the `hits` of `GET /api/calls/history`.
 *
 * @returns {{index: number | null, role: string | null, atS: number | null, text: string, marks: [number, number][]}[]}
 */
export function hitsOf({ transcription, summary }, query) {
  const turns = transcription ?? [];
  const texts = [...turns.map(({ message }, index) => [index, message]), [null, summary ?? ""]];
  const found = [];
  for (const [index, text] of texts) {
    const line = lineOf(text);
    const score = query.marked.filter((phrase) => line.includes(phrase.line)).length;
    if (score > 0) found.push({ index, text, score });
    if (found.filter((one) => one.score === query.marked.length).length === MAX_HITS) break;
  }
  return found
    .sort((one, other) => other.score - one.score)
    .slice(0, MAX_HITS)
    .map(({ index, text }) => {
      const turn = turns[index];
      const atS = Number.isFinite(turn?.timestamp) ? turn.timestamp : null;
      return { index, role: turn?.role ?? null, atS, ...cutAround(text, marksIn(text, query)) };
    });
}

const isInCharacter = (text, at) => text.charCodeAt(at) >= 0xdc00 && text.charCodeAt(at) < 0xe000;

function cutAround(text, marks) {
  const [first, firstEnd] = marks[0];
  let from = Math.max(0, first - CHARS_BEFORE);
  let to = Math.min(text.length, from + MAX_CHARS);
  while (isInCharacter(text, from)) from += 1;
  while (isInCharacter(text, to)) to -= 1;
  if (from > 0) from += /\s/.exec(text.slice(from, first))?.index + 1 || 0;
  if (to < text.length) {
    const space = text.slice(Math.min(firstEnd, to), to).search(/\s\S*$/);
    if (space >= 0) to = Math.min(firstEnd, to) + space;
  }
  const before = from > 0 ? "…" : "";
  const moved = before.length - from;
  const inside = marks.filter(([start, end]) => start < to && end > from);
  return {
    text: before + text.slice(from, to) + (to < text.length ? "…" : ""),
    marks: inside.map(([start, end]) => [Math.max(start, from) + moved, Math.min(end, to) + moved]),
  };
}
