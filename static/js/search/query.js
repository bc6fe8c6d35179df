// Search queries: words without case and accents, the last one as a prefix. Pure. The rules are the server's, so that a
// call that arrives matches exactly if the server would have found it.

const WORD = /[\p{L}\p{N}\p{M}_]+/gu;
const MAX_QUERY_WORDS = 8;
const MAX_WORD_CHARS = 32;

// Words of nearly every call. The server does not index them, so they are ignored, except as the prefix being typed.
const COMMON = new Set(
  (
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her " +
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so " +
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who " +
    "will with would yes you your hello hi hey"
  ).split(" "),
);

/** Removes case, accents and differences of form between characters that are otherwise the same. */
export function normalize(text) {
  return text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
}

const wordsOf = (text) => (normalize(text).match(WORD) ?? []).map((word) => word.slice(0, MAX_WORD_CHARS));

/** A search as [{word, isPrefix}]; empty if it has no word to look for. */
export function parseQuery(search) {
  const words = wordsOf(search ?? "").slice(0, MAX_QUERY_WORDS);
  return words
    .map((word, index) => ({ word, isPrefix: index === words.length - 1 }))
    .filter(({ word, isPrefix }) => isPrefix || !COMMON.has(word));
}

const isMatch = (word, query) => query.some((term) => (term.isPrefix ? word.startsWith(term.word) : word === term.word));

/** True if every word of the query is in the texts, or is a form of one of the phone numbers. */
export function matchesQuery(query, texts, numbers) {
  const words = new Set(texts.filter(Boolean).flatMap(wordsOf));
  for (const word of COMMON) words.delete(word);
  for (const digits of numbers.filter(Boolean).map((number) => number.replace(/\D/g, ""))) {
    for (const form of [digits, digits.slice(-10), digits.slice(-7), digits.slice(-4)]) words.add(form);
  }
  const known = [...words];
  return query.every(({ word, isPrefix }) => (isPrefix ? known.some((other) => other.startsWith(word)) : words.has(word)));
}

/**
 * Splits a text into pieces that match the query and pieces that do not.
 *
 * @returns {{text: string, isMatch: boolean, at: number}[]} `at`: number of characters before the piece
 */
export function highlight(text, query) {
  if (query.length === 0) return [{ text, isMatch: false, at: 0 }];
  const pieces = [];
  let doneTo = 0;
  const push = (from, to, match) => to > from && pieces.push({ text: text.slice(from, to), isMatch: match, at: from });
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (!isMatch(normalize(word), query)) continue;
    push(doneTo, index, false);
    push(index, index + word.length, true);
    doneTo = index + word.length;
  }
  push(doneTo, text.length, false);
  return pieces;
}
