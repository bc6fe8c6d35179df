// JSON as indented lines, each with the path of the value that begins on it, so that a fault can be shown at its place. Pure.

import { count } from "./number.js";

export const MAX_LINES = 2_000;
const MAX_TEXT = 400;

/**
 * @param {unknown} value a parsed JSON value
 * @returns {{depth: number, text: string, path: string | null}[]} at most MAX_LINES, and a last one that says what is left out
 */
export function jsonLines(value) {
  const lines = [];
  // Depth first with a stack of our own: a body may be nested more deeply than functions may.
  const waiting = [{ value, path: "", depth: 0, name: "", comma: "" }];
  while (waiting.length > 0) {
    if (lines.length >= MAX_LINES) return [...lines, { depth: 0, text: "… the rest is not shown", path: null }];
    const { value: item, path, depth, name, comma, end } = waiting.pop();
    if (end !== undefined) {
      lines.push({ depth, text: end + comma, path: null });
      continue;
    }
    const isList = Array.isArray(item);
    const isBranch = item !== null && typeof item === "object";
    const children = isBranch ? Object.entries(item) : [];
    if (children.length === 0) {
      lines.push({ depth, text: name + (isBranch ? (isList ? "[]" : "{}") : scalar(item)) + comma, path });
      continue;
    }
    lines.push({ depth, text: name + (isList ? "[" : "{"), path });
    waiting.push({ end: isList ? "]" : "}", depth, comma });
    children.reverse().forEach(([key, child], index) =>
      waiting.push({
        value: child,
        path: isList ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`,
        depth: depth + 1,
        name: isList ? "" : `${JSON.stringify(key)}: `,
        comma: index === 0 ? "" : ",",
      }),
    );
  }
  return lines;
}

function scalar(value) {
  const text = JSON.stringify(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${count(text.length)} characters)` : text;
}
