// Words as the search compares them: without case and accents, the last one of a query as a beginning. Pure, and the
// same rules as the server's, so that a call which arrives is judged as the history would judge it.

const WORD = /[\p{L}\p{N}\p{M}_]+/gu;
const MAX_QUERY_WORDS = 8;
const MAX_WORD_CHARS = 32;

// Words of nearly every call: the server keeps no index of them, so they narrow nothing, unless they are being typed.
const COMMON = new Set(
  (
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her " +
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so " +
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who " +
    "will with would yes you your hello hi hey"
  ).split(" "),
);

/** Without case, accents and the forms that only look different. */
export function plain(text) {
  return text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
}

const wordsOf = (text) => (plain(text).match(WORD) ?? []).map((word) => word.slice(0, MAX_WORD_CHARS));

/** A search as [{word, isPrefix}]; empty when there is nothing to look for. */
export function queryOf(search) {
  const words = wordsOf(search ?? "").slice(0, MAX_QUERY_WORDS);
  return words
    .map((word, index) => ({ word, isPrefix: index === words.length - 1 }))
    .filter(({ word, isPrefix }) => isPrefix || !COMMON.has(word));
}

const isHit = (word, query) => query.some((asked) => (asked.isPrefix ? word.startsWith(asked.word) : word === asked.word));

/** Whether a call is found: every word is in its texts, or is a form of its numbers. */
export function isFound(query, texts, numbers) {
  const words = new Set(texts.filter(Boolean).flatMap(wordsOf));
  for (const word of COMMON) words.delete(word);
  for (const digits of numbers.filter(Boolean).map((number) => number.replace(/\D/g, ""))) {
    for (const form of [digits, digits.slice(-10), digits.slice(-7), digits.slice(-4)]) words.add(form);
  }
  const known = [...words];
  return query.every(({ word, isPrefix }) => (isPrefix ? known.some((other) => other.startsWith(word)) : words.has(word)));
}

/**
 * A text in pieces, those that the query is about marked.
 *
 * @returns {{text: string, isHit: boolean, at: number}[]} `at`: where the piece begins, in characters
 */
export function marked(text, query) {
  if (query.length === 0) return [{ text, isHit: false, at: 0 }];
  const pieces = [];
  let doneTo = 0;
  const push = (from, to, hit) => to > from && pieces.push({ text: text.slice(from, to), isHit: hit, at: from });
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (!isHit(plain(word), query)) continue;
    push(doneTo, index, false);
    push(index, index + word.length, true);
    doneTo = index + word.length;
  }
  push(doneTo, text.length, false);
  return pieces;
}
