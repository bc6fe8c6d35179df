// Search queries: words without case and accents, the last one as a prefix; parts of numbers; pairs of characters where a
// script has no spaces. Pure. The rules are those of the server (domain/search_terms.py), so that a call that arrives matches
// exactly if the server would have found it.

const MAX_QUERY_TERMS = 16;
const MAX_WORD_CHARS = 32;
const MIN_PART = 4; // digits of the shortest ending of a number
const MIN_TYPED = 3; // fewer digits are no part of a number
const PART = "_"; // begins the terms that are endings of numbers
const PAIR = ":"; // begins the terms that are pairs of characters

// Where combining marks belong to a word's spelling, and scripts without spaces between words.
const VOWEL_SIGNS = "\\u0900-\\u109f\\u1700-\\u17ff\\u1900-\\u1aaf\\u1b00-\\u1cff\\u3099\\u309a\\ua800-\\uabff\\u{11000}-\\u{11fff}";
const UNSPACED =
  "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3040-\\u30ff\\u3100-\\u312f\\u31a0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff" +
  "\\ua9e0-\\ua9ff\\uaa60-\\uaa7f\\u{20000}-\\u{3ffff}";
const COMPOSED = "\\uf900-\\ufaff\\uff66-\\uff9f"; // decompose into such scripts: compatibility ideographs, half-width kana
const IGNORED = new RegExp(`(?![${VOWEL_SIGNS}])\\p{M}|\\p{Cf}`, "gu");
const VOICED = /[\u3040-\u30ff][\u3099\u309a]/g;
const WORD = /[\p{L}\p{N}\p{M}_]+/gu;
const SEEN_WORD = /[\p{L}\p{N}\p{M}\p{Cf}_]+/gu;
const SEGMENT = new RegExp(`[${UNSPACED}]+|[^${UNSPACED}]+`, "gu");
const SEEN_SEGMENT = new RegExp(`[${UNSPACED}${COMPOSED}\\p{M}\\p{Cf}]*[${UNSPACED}${COMPOSED}][${UNSPACED}${COMPOSED}\\p{M}\\p{Cf}]*|[^${UNSPACED}${COMPOSED}]+`, "gu");
const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "u");
const CLUSTER = /\P{M}[\p{M}\p{Cf}\uff9e\uff9f]*|[\p{M}\p{Cf}]+/gu;
const NUMBER = /(^|[^\p{L}\p{N}\p{M}_])((?:tel:)?[+(]*[0-9](?:[\s()./\u2010-\u2015\u2212-]*[0-9])*)(?![\p{L}\p{N}\p{M}_])/giu;
const DIALLED = /^(?:011(?=\d{10})|0+(?=\d{4})|8(?=\d{10}$))/; // abroad, within a country, Russia
const MOBILE = /^5(?:21?|49?)(?=\d{10}$)/; // Mexico and Argentina, with their mobile digit or without

// Words of nearly every call. The server does not index them, so they are ignored, except as the prefix being typed.
const COMMON = new Set(
  (
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her " +
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so " +
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who " +
    "will with would yes you your hello hi hey"
  ).split(" "),
);

// Unicode's full case folding: ß is ss, and a final sigma is a sigma. The dotless ı keeps its own letter.
const fold = (text) =>
  text
    .toLowerCase()
    .replace(/[^ı]+/gu, (letters) => letters.toUpperCase().toLowerCase())
    .replaceAll("ς", "σ");

/** Removes case, accents, invisible characters, and differences of form between characters that are otherwise the same. */
export function normalize(text) {
  const decomposed = fold(fold(text).normalize("NFKD")).normalize("NFKD");
  return decomposed.replace(IGNORED, "").replace(VOICED, (kana) => kana.normalize("NFC"));
}

const segmentsOf = (plain) => (plain.match(WORD) ?? []).flatMap((word) => word.match(SEGMENT));
const cut = (word) => [...word].slice(0, MAX_WORD_CHARS).join("");

function tokensOf(plain) {
  return segmentsOf(plain).flatMap((segment) => {
    if (!IS_UNSPACED.test(segment)) return [cut(segment)];
    const characters = [...segment];
    if (characters.length === 1) return [PAIR + segment];
    return characters.slice(1).map((character, at) => PAIR + characters[at] + character);
  });
}

const isWholePair = (token) => token.startsWith(PAIR) && [...token].length === 3;

function asked(tokens) {
  const first = tokens.slice(0, MAX_QUERY_TERMS);
  if (first.length === 0) return [];
  const last = first.pop();
  const rare = first.filter((word) => !COMMON.has(word)).map((word) => ({ word, isPrefix: false }));
  if (rare.length > 0 && COMMON.has(last)) return rare; // no call has such a word among its own
  return [...rare, { word: last, isPrefix: !isWholePair(last) }];
}

/** The digits of a number that was typed, without what is dialled before it. */
function digitsOf(text) {
  return text.replaceAll("(0)", "").replace(/[^0-9]/g, "").replace(DIALLED, "").replace(MOBILE, "");
}

function asNumber(run) {
  const digits = digitsOf(run);
  return digits.length >= MIN_TYPED ? ` ${PART}${digits} ` : run;
}

/** What a search may mean, as lists of {word, isPrefix}: its words, and with digits that may be a telephone number as one. */
function readingsOf(search) {
  const plain = normalize(search);
  return [asked(tokensOf(plain)), asked(tokensOf(plain.replace(NUMBER, (_, before, run) => before + asNumber(run))))].filter((reading) => reading.length > 0);
}

/** A search as what is marked in a text, [{word, isPrefix, isPart}]; empty if it has no word to look for. */
export function parseQuery(search) {
  const words = segmentsOf(normalize(search ?? "")).slice(0, MAX_QUERY_TERMS);
  return words
    .map((word, index) => ({ word: cut(word), isPrefix: index === words.length - 1, isPart: IS_UNSPACED.test(word) }))
    .filter(({ word, isPrefix }) => isPrefix || !COMMON.has(word));
}

const isMatch = (word, query) => query.some((term) => (term.isPrefix ? word.startsWith(term.word) : word === term.word));

/** True if every word of the search is in the texts, or is a part of one of the phone numbers. */
export function matchesSearch(search, texts, numbers) {
  if (search.trim() === "") return true;
  const words = new Set(texts.filter(Boolean).flatMap((text) => tokensOf(normalize(text))));
  for (const word of COMMON) words.delete(word);
  for (const digits of numbers.filter(Boolean).map((number) => number.replace(/\D/g, ""))) {
    words.add(PART + digits);
    for (let at = 1; at <= digits.length - MIN_PART; at += 1) words.add(PART + digits.slice(at));
  }
  const known = [...words];
  return readingsOf(search).some((reading) =>
    reading.every(({ word, isPrefix }) => (isPrefix ? known.some((other) => other.startsWith(word)) : words.has(word))),
  );
}

// The parts of a text without spaces that a query asks for, as [from, to].
function partsIn(text, parts) {
  const starts = []; // where each character of the plain text comes from
  let plain = "";
  for (const { 0: cluster, index } of text.matchAll(CLUSTER)) {
    const piece = normalize(cluster);
    for (let at = 0; at < piece.length; at += 1) starts.push([index, index + cluster.length]);
    plain += piece;
  }
  return parts.flatMap(({ word }) => {
    const found = [];
    for (let at = plain.indexOf(word); at >= 0; at = plain.indexOf(word, at + word.length)) {
      found.push([starts[at][0], starts[at + word.length - 1][1]]);
    }
    return found;
  });
}

/**
 * Splits a text into pieces that match the query and pieces that do not.
 *
 * @returns {{text: string, isMatch: boolean, at: number}[]} `at`: number of characters before the piece
 */
export function highlight(text, query) {
  if (query.length === 0) return [{ text, isMatch: false, at: 0 }];
  const [parts, words] = [query.filter(({ isPart }) => isPart), query.filter(({ isPart }) => !isPart)];
  const pieces = [];
  let doneTo = 0;
  const push = (from, to, match) => to > from && pieces.push({ text: text.slice(from, to), isMatch: match, at: from });
  const mark = (from, to) => {
    if (to <= doneTo) return;
    push(doneTo, from, false);
    push(Math.max(from, doneTo), to, true);
    doneTo = to;
  };
  for (const { 0: word, index: start } of text.matchAll(SEEN_WORD)) {
    for (const { 0: segment, index: offset } of word.matchAll(SEEN_SEGMENT)) {
      const from = start + offset;
      const plain = normalize(segment);
      if (IS_UNSPACED.test(plain)) {
        const found = partsIn(segment, parts).sort(([one], [other]) => one - other);
        for (const [at, to] of found) mark(from + at, from + to);
      } else if (isMatch(plain, words)) mark(from, from + segment.length);
    }
  }
  push(doneTo, text.length, false);
  return pieces;
}
