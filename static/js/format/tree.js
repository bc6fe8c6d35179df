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

/** The children of a list or an object as [label, value]: own keys only; a list is numbered from 1. */
export function entriesOf(value) {
  if (kindOf(value) === "list") return value.map((item, index) => [String(index + 1), item]);
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

/** True if there is nothing to show under a heading. */
export const isEmpty = (value) => kindOf(value) === "null" || (isBranch(value) && entriesOf(value).length === 0);
