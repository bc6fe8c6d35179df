// Words of texts and of searches: without case and accents, parts of numbers, pairs of characters where a script has no spaces.
// Pure. The rules are those of the server (domain/search_terms.py).

export const MAX_QUERY_TERMS = 16;
export const MAX_WORD_CHARS = 32;
export const MIN_PART = 4; // digits of the shortest ending of a number
export const MIN_TYPED = 3; // fewer digits are no part of a number
export const PART = "_"; // begins the terms that are endings of numbers
export const PAIR = ":"; // begins the terms that are pairs of characters

// Where combining marks belong to a word's spelling, and scripts without spaces between words.
const VOWEL_SIGNS = "\\u0900-\\u109f\\u1700-\\u17ff\\u1900-\\u1aaf\\u1b00-\\u1cff\\u3099\\u309a\\ua800-\\uabff\\u{11000}-\\u{11fff}";
const UNSPACED =
  "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3040-\\u30ff\\u3100-\\u312f\\u31a0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff" +
  "\\ua9e0-\\ua9ff\\uaa60-\\uaa7f\\u{20000}-\\u{3ffff}";
const IGNORED = new RegExp(`(?![${VOWEL_SIGNS}])\\p{M}|\\p{Cf}`, "gu");
const VOICED = /[\u3040-\u30ff][\u3099\u309a]/g;
export const WORD = /[\p{L}\p{N}\p{M}_]+/gu;
export const SEGMENT = new RegExp(`[${UNSPACED}]+|[^${UNSPACED}]+`, "gu");
const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "u");
/** A character with the marks behind it, and with what nobody sees. */
export const CLUSTER = /\P{M}[\p{M}\p{Cf}\uff9e\uff9f]*|[\p{M}\p{Cf}]+/gu;
const NUMBER_TEXT = "(?:tel:)?[+(]*[0-9](?:[\\s()./\\u2010-\\u2015\\u2212-]*[0-9])*";
const NUMBER = new RegExp(`(^|[^\\p{L}\\p{N}\\p{M}_])(${NUMBER_TEXT})(?![\\p{L}\\p{N}\\p{M}_])`, "giu");
const IS_NUMBER = new RegExp(`^${NUMBER_TEXT}$`, "iu");
const DIALLED = /^(?:011(?=\d{10})|0+(?=\d{4})|8(?=\d{10}$))/; // abroad, within a country, Russia
const MOBILE = /^5(?:21?|49?)(?=\d{10}$)/; // Mexico and Argentina, with their mobile digit or without

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

/** True for a run of characters of a script without spaces. */
export const isUnspaced = (segment) => IS_UNSPACED.test(segment);

/** Nearly every call has such a word, so that it is looked for only in names. */
export const isCommon = (word) => COMMON.has(word);

/** The common words that begin so. */
export const commonWords = (beginning) => [...COMMON].filter((word) => word.startsWith(beginning));

const segmentsOf = (plain) => (plain.match(WORD) ?? []).flatMap((word) => word.match(SEGMENT));

/** All words of a text in their plain form; a run of characters of a script without spaces is one. */
export const segments = (text) => segmentsOf(normalize(text));

const MAX_LINES = 4_096;
const MAX_LINE_CHARS = 1_000;
const lines = new Map(); // text → its line: a transcript is looked through with every letter that is typed

/** A text's words with a space before, between and behind them. */
export function lineOf(text) {
  if (text.length > MAX_LINE_CHARS) return ` ${segments(text).join(" ")} `;
  let line = lines.get(text);
  if (line === undefined) {
    if (lines.size === MAX_LINES) lines.clear();
    line = ` ${segments(text).join(" ")} `;
    lines.set(text, line);
  }
  return line;
}

export const cut = (word) => (word.length > MAX_WORD_CHARS ? [...word].slice(0, MAX_WORD_CHARS).join("") : word);

/** The pairs of a run of two characters or more of a script without spaces; of one character, itself. */
function pairsOf(run) {
  const characters = [...run];
  if (characters.length === 1) return [PAIR + run];
  return characters.slice(1).map((character, at) => PAIR + characters[at] + character);
}

/** Words and pairs of a text in its plain form. */
export const tokensOf = (plain) => segmentsOf(plain).flatMap((segment) => (isUnspaced(segment) ? pairsOf(segment) : [cut(segment)]));

export const isWholePair = (token) => token.startsWith(PAIR) && [...token].length === 3;

/** The digits of a number that was typed, without what is dialled before it. */
export const digitsOf = (plain) => plain.replaceAll("(0)", "").replace(/[^0-9]/g, "").replace(DIALLED, "").replace(MOBILE, "");

/** Replaces what may be telephone numbers in a text in its plain form. */
export const replaceNumbers = (plain, replace) => plain.replace(NUMBER, (_, before, run) => before + replace(run));

/** What may be telephone numbers in a text in its plain form. @returns {{run: string, index: number}[]} */
export const numbersIn = (plain) => [...plain.matchAll(NUMBER)].map(({ 1: before, 2: run, index }) => ({ run, index: index + before.length }));

/** The digits of a text that may be a telephone number as a whole, otherwise "". */
export function telephoneDigits(text) {
  const plain = normalize(text).trim();
  return IS_NUMBER.test(plain) ? digitsOf(plain) : "";
}
