// A vendor's data as a tree that can be shown whatever it holds: deep, wide, long, or hostile. Pure.

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

/** The children of a list or an object as [label, value], own keys alone; a list counts from 1. */
export function entriesOf(value) {
  if (kindOf(value) === "list") return value.map((item, index) => [String(index + 1), item]);
  return Object.entries(value);
}

/** "3 fields", "1 item", "empty list": what a closed branch says of itself. */
export function summaryOf(value) {
  const isList = kindOf(value) === "list";
  const count = isList ? value.length : Object.keys(value).length;
  if (count === 0) return isList ? "empty list" : "no fields";
  const noun = isList ? "item" : "field";
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Whether there is anything worth a heading. */
export const isEmpty = (value) => kindOf(value) === "null" || (isBranch(value) && entriesOf(value).length === 0);
