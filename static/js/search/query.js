// What a search asks for, and whether a call matches it. Pure. The rules are those of the server (domain/search_query.py
// and call_match.py), so that a call that arrives matches exactly if the server would have found it.
//
//   rosa 416-555-0199   words and numbers, all of them; the last word may be the beginning of one
//   "see you friday"    a phrase: these words beside each other in one text
//   -later -"no show"   not these
//   agent:rosa  id:4711  plan:"very gold"   the agent's name, an id, a key of the metadata

import {
  commonWords,
  cut,
  digitsOf,
  isCommon,
  isUnspaced,
  isWholePair,
  lineOf,
  MAX_QUERY_TERMS,
  MAX_WORD_CHARS,
  MIN_PART,
  MIN_TYPED,
  normalize,
  numbersIn,
  PAIR,
  PART,
  replaceNumbers,
  segments,
  telephoneDigits,
  tokensOf,
} from "./words.js";

const MAX_CONDITIONS = 16;
const MAX_METADATA_VALUES = 128;
const MAX_METADATA_CHARS = 512;
const MAX_DEPTH = 8;
const MIN_PHRASE_DIGITS = 7; // of a number that is excluded as one
const SCHEMES = new Set(["tel", "sip", "sips", "mailto", "http", "https"]); // before the colon of an address

const QUOTES = "\"“”„«»「」＂";
const PIECE = new RegExp(
  `(?<minus>[-－](?=[^\\s-]))?` +
    `(?:(?:(?<name>[\\p{L}\\p{Nl}\\p{No}_][^\\s:：/${QUOTES}]*)|[${QUOTES}](?<quotedName>[^${QUOTES}]+)[${QUOTES}])[:：](?=[^\\s/:：]))?` +
    `(?:[${QUOTES}](?<quoted>[^${QUOTES}]*)(?<closing>[${QUOTES}]|$)|(?<bare>\\S+))`,
  "gu",
);

/**
 * @typedef {object} Phrase words beside each other in one text, or a telephone number
 * @property {string} line what the `lineOf` a text with this phrase contains
 * @property {string} digits of a telephone number; "" if the phrase is none
 *
 * @typedef {object} Field
 * @property {string} name "agent", "id", or a key of the metadata in its plain form
 * @property {Phrase} value @property {string} raw the value as it was typed
 * @property {Phrase | null} said the name and the value as a phrase, which a call matches as well
 *
 * @typedef {object} Query
 * @property {{word: string, isPrefix: boolean}[][]} readings what the words may mean: a call matches all words of one
 * @property {(Phrase | Field)[]} required @property {(Phrase | Field)[]} excluded
 * @property {string | null} pastedId the whole search where it may be an id
 * @property {Phrase[]} marked what is marked in a call that matches
 * @property {boolean} isNothing there is nothing to look for: no call matches
 */

function phraseOf(words, isOpen = false, digits = "") {
  const before = isUnspaced(words[0]) ? "" : " ";
  const after = isOpen || isUnspaced(words.at(-1)) ? "" : " ";
  return { line: before + words.join(" ") + after, digits };
}

/** @returns {Query} */
export function parseQuery(search) {
  let text = [];
  const [required, excluded] = [[], []];
  for (const match of (search ?? "").matchAll(PIECE)) {
    const { minus } = match.groups;
    const condition = isText(match) ? null : conditionOf(match);
    if (condition === null && minus === undefined) {
      if (!["agent", "id"].includes(normalize(match.groups.name ?? "")) && segments(match[0]).length > 0) text.push(match[0]);
    } else if (condition !== null && required.length + excluded.length < MAX_CONDITIONS) {
      (minus === undefined ? required : excluded).push(condition);
    }
  }
  if (required.length > 0 && tokensOf(normalize(text.join(" "))).every(isCommon)) text = [];
  const plain = normalize(text.join(" "));
  const runs = [...new Set(segments(plain))].filter((one) => isUnspaced(one) && [...one].length > 2);
  const marked = [...markedWords(plain), ...required.map((one) => (one.name ? one.said : one)).filter(Boolean)];
  const readings = readingsOf(plain);
  const isNothing = readings.length === 0 && required.length === 0;
  const pasted = (search ?? "").trim();
  return {
    readings,
    required: [...required, ...runs.map((run) => phraseOf([run]))],
    excluded,
    pastedId: isNothing || /\s/.test(pasted) ? null : pasted,
    marked: [...new Map(marked.map((phrase) => [phrase.line, phrase])).values()],
    isNothing,
  };
}

// True if a piece of a search is no operator.
function isText({ groups: { minus, name, quotedName, quoted, bare }, 0: piece, index, input }) {
  // "416 -555": a number with a space before its dash.
  if (minus !== undefined) return /^[-－][0-9]+(?![\p{L}\p{N}_])/u.test(piece) && /[0-9)]\s*$/.test(input.slice(0, index));
  if (quoted !== undefined) return name === undefined && quotedName === undefined && telephoneDigits(quoted).length >= MIN_TYPED;
  return bare !== undefined && quotedName === undefined && (name === undefined || SCHEMES.has(name.toLowerCase()));
}

// What a piece of a search asks for; null if that has no letter or digit.
function conditionOf({ groups, 0: piece, index, input }) {
  const isQuoted = groups.quoted !== undefined;
  let name = groups.name ?? groups.quotedName;
  let raw = isQuoted ? groups.quoted : groups.bare;
  if (name !== undefined && SCHEMES.has(name.toLowerCase())) [name, raw] = [undefined, `${name}:${raw}`];
  const isLast = index + piece.length === input.length;
  const isUnclosed = isQuoted && groups.closing === "";
  const value = segments(raw);
  if (value.length === 0) return null;
  if (name === undefined) {
    const digits = telephoneDigits(raw);
    return phraseOf(value, isUnclosed, digits.length >= MIN_PHRASE_DIGITS ? digits : "");
  }
  name = normalize(name);
  const isOpen = isUnclosed || (name === "agent" && !isQuoted && isLast);
  const isOwn = name === "agent" || name === "id";
  return { name, raw, value: phraseOf(value, isOpen), said: isOwn ? null : phraseOf([...segments(name), ...value], isOpen) };
}

// The digits of a number may be words, one number, or one word.
function readingsOf(plain) {
  const asNumber = (mark) => (run) => {
    const digits = digitsOf(run);
    return digits.length >= MIN_TYPED ? ` ${mark}${digits} ` : run;
  };
  const texts = [plain, replaceNumbers(plain, asNumber(PART)), replaceNumbers(plain, asNumber(""))];
  return [...new Set(texts)].map((text) => asked(tokensOf(text))).filter((reading) => reading.length > 0);
}

function asked(tokens) {
  const first = tokens.slice(0, MAX_QUERY_TERMS);
  if (first.length === 0) return [];
  const last = first.pop();
  const rare = first.filter((word) => !isCommon(word)).map((word) => ({ word, isPrefix: false }));
  if (rare.length > 0 && isCommon(last)) return rare; // no call has such a word among its own
  return [...rare, { word: last, isPrefix: !isWholePair(last) }];
}

// The words of a search that are marked: those of a telephone number beside each other, common words seldom.
function markedWords(plain) {
  const found = [];
  let at = 0;
  const push = (text) => found.push(...segments(text).map((word) => [word]));
  for (const { run, index } of numbersIn(plain)) {
    if (telephoneDigits(run).length < MIN_PHRASE_DIGITS) continue;
    push(plain.slice(at, index));
    found.push(segments(run));
    at = index + run.length;
  }
  push(plain.slice(at));
  found.splice(MAX_QUERY_TERMS);
  if (found.length === 0) return [];
  const last = found.pop();
  const rare = found.filter(([word]) => !isCommon(word)).map((words) => phraseOf(words));
  return rare.length > 0 && isCommon(last[0]) ? rare : [...rare, phraseOf(last, true)];
}

/**
 * True if a call matches a search.
 *
 * @param {object} call what of it is searched
 * @param {string[]} call.texts its summary, and what was said
 * @param {string[]} [call.names] also SIP addresses @param {string[]} [call.numbers] in E.164 @param {string} [call.agentName]
 * @param {string[]} [call.ids] @param {object} [call.metadata]
 * @param {Query} query
 */
export function matchesSearch({ texts = [], names = [], numbers = [], agentName, ids = [], metadata }, query) {
  if (query.pastedId !== null && ids.includes(query.pastedId)) return true;
  if (query.isNothing) return false;
  const values = metadataValues(metadata);
  const nameLines = [...names, agentName].filter(Boolean).map(lineOf);
  const textLines = [...texts, ...values.map(([, value]) => value)].filter(Boolean).map(lineOf);
  const lines = [...nameLines, ...textLines];
  const digits = numbers.filter(Boolean).map((number) => number.replace(/\D/g, ""));

  const hasPhrase = ({ line, digits: part }) => lines.some((one) => one.includes(line)) || (part !== "" && digits.some((one) => one.includes(part)));
  const hasField = ({ name, value, raw, said }) => {
    if (name === "id") return ids.includes(raw);
    if (name === "agent") return lineOf(agentName ?? "").includes(value.line);
    return hasPhrase(said) || values.some(([key, one]) => key === name && lineOf(one).includes(value.line));
  };
  const has = (condition) => (condition.name ? hasField(condition) : hasPhrase(condition));
  const hasTerm = (term) => {
    const { inText, inName } = patternsOf(term);
    return nameLines.some((line) => inName.test(line)) || textLines.some((line) => inText.test(line)) || digits.some((number) => isPartOf(term, number));
  };
  const hasWords = query.readings.length === 0 || query.readings.some((reading) => reading.every(hasTerm));
  return hasWords && query.required.every(has) && !query.excluded.some(has);
}

// How a term is found in the line of a text, and in that of a name.
function patternsOf({ word, isPrefix }) {
  if (word.startsWith(PAIR)) {
    const run = word.slice(PAIR.length);
    const pattern = new RegExp(isWholePair(word) ? run : `${run}[^ ]| ${run} `, "u");
    return { inText: pattern, inName: pattern };
  }
  const end = isPrefix || [...word].length === MAX_WORD_CHARS ? "" : " ";
  const common = isPrefix ? commonWords(word).join("|") : "";
  const inName = new RegExp(` ${word}${end}`, "u");
  return { inText: common ? new RegExp(` (?!(?:${common}) )${word}${end}`, "u") : inName, inName };
}

function isPartOf({ word, isPrefix }, number) {
  const part = word.slice(PART.length);
  if (!word.startsWith(PART) || !/^\d+$/.test(part)) return false;
  const at = isPrefix ? number.indexOf(part) : number.length - part.length;
  return at >= 0 && number.startsWith(part, at) && at <= Math.max(0, number.length - MIN_PART);
}

/** The values of a call's metadata as [key, text]; keys of nested objects are joined by dots. */
export function metadataValues(metadata) {
  const found = [];
  const visit = (name, value, depth) => {
    if (found.length === MAX_METADATA_VALUES) return;
    if (Array.isArray(value) && depth < MAX_DEPTH) for (const inner of value) visit(name, inner, depth + 1);
    else if (typeof value === "object" && value !== null) {
      if (depth === MAX_DEPTH || Array.isArray(value)) return;
      for (const [key, inner] of Object.entries(value)) visit(name ? `${name}.${normalize(key)}` : normalize(key), inner, depth + 1);
    } else if (value !== null && value !== undefined) found.push([name, String(value).slice(0, MAX_METADATA_CHARS)]);
  };
  visit("", metadata ?? {}, 0);
  return found;
}
