// The address bar as data. Pure: `#/` and `#/calls?status=…` are the list, `#/calls/<id>` one call beside it,
// `#/contacts/<id>`, `#/numbers` and `#/developer` pages of their own; whatever else is the list.

import { EVERYTHING, filterText, readFilter } from "./search/filter.js";

/**
 * @returns {{name: "list" | "call" | "contact" | "numbers" | "developer", id: string | null, filter: object, atS: number | null}}
 *     `id`: of the call or the contact; `atS`: the moment of the recording that the address leads to
 */
export function parseRoute(hash) {
  const [, path, query] = /^#?([^?]*)\??(.*)$/s.exec(hash);
  const params = new URLSearchParams(query);
  const route = (name, id = null) => ({ name, id, filter: readFilter(params), atS: moment(params.get("t")) });
  const match = /^\/(calls|contacts)\/([^/?#]+)$/.exec(path);
  if (match) {
    try {
      return route(match[1] === "calls" ? "call" : "contact", decodeURIComponent(match[2]));
    } catch {
      return route("list"); // a broken percent escape names nothing
    }
  }
  if (path === "/numbers" || path === "/developer") return route(path.slice(1));
  return route("list");
}

function moment(text) {
  return /^\d{1,7}(\.\d{1,3})?$/.test(text ?? "") ? Number(text) : null;
}

const withQuery = (path, query) => (query ? `${path}?${query}` : path);

export const listHref = (filter = EVERYTHING) => withQuery(filterText(filter) ? "#/calls" : "#/", filterText(filter));
export const callHref = (callId, filter = EVERYTHING) => withQuery(`#/calls/${encodeURIComponent(callId)}`, filterText(filter));
export const momentHref = (callId, atS) => `#/calls/${encodeURIComponent(callId)}?t=${Math.round(atS * 10) / 10}`;
export const contactHref = (contactId) => `#/contacts/${encodeURIComponent(contactId)}`;
export const numbersHref = "#/numbers";
export const developerHref = "#/developer";
