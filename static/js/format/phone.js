// Formats telephone numbers as people write them. Pure: a small table of national numbering plans instead of a library of
// 150 KB. A number of another plan is shown in groups of three after its country code.

const UNKNOWN = "–";

// Country code → [trunk prefix, [pattern of the national number, digits per group, separator, separator abroad], …]. The first match counts.
const PLANS = {
  27: ["0", [/^\d{9}$/, [2, 3, 4]]],
  30: ["", [/^21\d{8}$/, [2, 4, 4]], [/^69\d{8}$/, [3, 3, 4]]],
  31: ["0", [/^6\d{8}$/, [1, 8]], [/^(?:1[035]|2[0346]|3[0368]|4[0356]|5[0358]|7\d)\d{7}$/, [2, 3, 4]]],
  32: ["0", [/^4\d{8}$/, [3, 2, 2, 2]], [/^[2349]\d{7}$/, [1, 3, 2, 2]], [/^\d{8}$/, [2, 2, 2, 2]]],
  33: ["0", [/^[1-79]\d{8}$/, [1, 2, 2, 2, 2]]],
  34: ["", [/^[5-9]\d{8}$/, [3, 2, 2, 2]]],
  39: ["", [/^3\d{9}$/, [3, 3, 4]], [/^0[26]\d{8}$/, [2, 4, 4]]],
  40: ["0", [/^7\d{8}$/, [3, 3, 3]]],
  41: ["0", [/^[2-7]\d{8}$/, [2, 3, 2, 2]]],
  44: ["0", [/^7\d{9}$/, [4, 6]], [/^2\d{9}$/, [2, 4, 4]], [/^(?:11\d|1\d1|3\d\d|8\d\d|9\d\d)\d{7}$/, [3, 3, 4]], [/^1\d{9}$/, [4, 6]]],
  45: ["", [/^[2-9]\d{7}$/, [2, 2, 2, 2]]],
  46: ["0", [/^7\d{8}$/, [2, 3, 2, 2], "- ", " "]],
  47: ["", [/^[2-79]\d{7}$/, [2, 2, 2, 2]]],
  48: ["", [/^(?:45|5[0137]|6[069]|7[2389]|88)\d{7}$/, [3, 3, 3]], [/^[1-8]\d{8}$/, [2, 3, 2, 2]]],
  49: ["0", [/^1[67]\d{8,9}$/, [3, -1]], [/^15\d{9}$/, [4, 7]], [/^(?:[34]0|69|89)\d{4,9}$/, [2, -1]]],
  52: ["", [/^(?:33|5[56]|81)\d{8}$/, [2, 4, 4]], [/^[2-9]\d{9}$/, [3, 3, 4]]],
  61: ["0", [/^4\d{8}$/, [3, 3, 3]]],
  64: ["0", [/^2[18]\d{7}$/, [2, 3, 4]]],
  65: ["", [/^[3689]\d{7}$/, [4, 4]]],
  81: ["0", [/^[7-9]0\d{8}$/, [2, 4, 4], "-"], [/^[36]\d{8}$/, [1, 4, 4], "-"]],
  82: ["0", [/^10\d{8}$/, [2, 4, 4], "-"], [/^2\d{8}$/, [1, 4, 4], "-"]],
  86: ["", [/^1[3-9]\d{9}$/, [3, 4, 4]]],
  91: ["0", [/^9[0-9]\d{8}$/, [5, 5]]],
  351: ["", [/^9\d{8}$/, [3, 3, 3]], [/^2[12]\d{7}$/, [2, 3, 4]]],
  353: ["0", [/^8[35-9]\d{7}$/, [2, 3, 4]]],
  358: ["0", [/^4\d{8}$/, [2, 7]]],
  852: ["", [/^[2-9]\d{7}$/, [4, 4]]],
  972: ["0", [/^5\d{8}$/, [2, 3, 4], "-"]],
};

/** E.164 → {code, digits} with the country code when it is in the table; null if it is not a number. */
function parts(e164) {
  const digits = /^\+([1-9]\d{3,18})$/.exec(e164 ?? "")?.[1];
  if (!digits) return null;
  if (digits.startsWith("1") && digits.length === 11) return { code: "1", digits: digits.slice(1) };
  const code = [3, 2].map((length) => digits.slice(0, length)).find((start) => Object.hasOwn(PLANS, start));
  return code ? { code, digits: digits.slice(code.length) } : { code: null, digits };
}

function grouped(digits, sizes) {
  const groups = [];
  let at = 0;
  for (const size of sizes) {
    groups.push(size < 0 ? digits.slice(at) : digits.slice(at, at + size));
    at += size;
  }
  return groups;
}

// A separator of two characters: the first follows the area code, the second stands between all other groups.
const joined = ([area, ...rest], [first, other = first]) => [area, rest.join(other)].join(first);

/**
 * Formats a number nationally if `home` is a number of the same country, internationally otherwise.
 *
 * @param {string} e164 "+14165550199"
 * @param {string} [home] our own number
 * @returns {string} "(416) 555-0199", "+1 416-555-0199"; anything but an E.164 number is returned unchanged
 */
export function phone(e164, home) {
  if (typeof e164 !== "string" || e164 === "") return UNKNOWN;
  const number = parts(e164);
  if (!number) return e164;
  const { code, digits } = number;
  const isHome = code !== null && parts(home)?.code === code;
  if (code === "1") {
    const [area, exchange, line] = grouped(digits, [3, 3, 4]);
    return isHome ? `(${area}) ${exchange}-${line}` : `+1 ${area}-${exchange}-${line}`;
  }
  const [trunk, ...plans] = PLANS[code] ?? [""];
  const [, sizes, separator = " ", separatorAbroad = separator] = plans.find(([fits]) => fits.test(digits)) ?? [];
  if (!sizes) return `+${code ?? ""}${code ? " " : ""}${digits.replace(/(\d{3})(?=\d{3})/g, "$1 ")}`;
  const groups = grouped(digits, sizes);
  return isHome ? trunk + joined(groups, separator) : `+${code} ${joined(groups, separatorAbroad)}`;
}
