// A vendor's JSON as a tree that is safe to show, however deep, wide, long or hostile it is. Pure.

export const MAX_DEPTH = 24;
export const MAX_ENTRIES = 100;
export const MAX_TEXT = 600;

/** @returns {"null" | "boolean" | "number" | "string" | "list" | "object"} */
export function kindOf(value) {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "list";
  return ["boolean", "number", "object"].includes(typeof value) ? typeof value : "string";
}

export const isBranch = (value) => ["list", "object"].includes(kindOf(value));

/** The children of a list or an object as [label, value]: own keys only; a list is numbered from 0. */
export function entriesOf(value) {
  if (kindOf(value) === "list") return value.map((item, index) => [String(index), item]);
  return Object.entries(value);
}

/** "3 fields", "1 item", "empty list": the label of a closed branch. */
export function summaryOf(value) {
  const isList = kindOf(value) === "list";
  const count = isList ? value.length : Object.keys(value).length;
  if (count === 0) return isList ? "empty list" : "no fields";
  const noun = isList ? "item" : "field";
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const ADDRESS = /https?:\/\/[^\s<>"'`]+/gi;

/** A text in pieces: those that are an address of the web have an `href`. @returns {{text: string, href?: string}[]} */
export function linked(text) {
  const pieces = [];
  let done = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = withoutTail(found);
    if (!URL.canParse(address)) continue;
    if (index > done) pieces.push({ text: text.slice(done, index) });
    pieces.push({ text: address, href: new URL(address).href });
    done = index + address.length;
  }
  if (done < text.length) pieces.push({ text: text.slice(done) });
  return pieces;
}

// Without the punctuation of the sentence around an address; a bracket stays if it was opened in the address.
function withoutTail(address) {
  const shorter = address.replace(/[.,;:!?*_]+$/, "");
  const isClosing = shorter.endsWith(")") && shorter.split("(").length < shorter.split(")").length;
  return isClosing ? withoutTail(shorter.slice(0, -1)) : shorter;
}

/** True if there is nothing to show under a heading. */
export const isEmpty = (value) => kindOf(value) === "null" || (isBranch(value) && entriesOf(value).length === 0);
