// The routes of the address bar. Pure: `#/` and `#/calls?status=…` are the list, `#/calls/<id>` is a call beside the list,
// `#/contacts/<id>`, `#/analytics` and `#/developer` are pages. Any other address is the list.

import { NO_FILTER, parseFilter, serializeFilter } from "./search/filter.js";

/**
 * @returns {{name: "list" | "call" | "contact" | "analytics" | "developer", id: string | null, filter: object, atS: number | null}}
 *     `id`: of the call or the contact; `atS`: a position in the recording, in seconds
 */
export function parseRoute(hash) {
  const [, path, query] = /^#?([^?]*)\??(.*)$/s.exec(hash);
  const params = new URLSearchParams(query);
  const route = (name, id = null) => ({ name, id, filter: parseFilter(params), atS: parsePosition(params.get("t")) });
  const match = /^\/(calls|contacts)\/([^/?#]+)$/.exec(path);
  if (match) {
    try {
      return route(match[1] === "calls" ? "call" : "contact", decodeURIComponent(match[2]));
    } catch {
      return route("list"); // an invalid percent escape
    }
  }
  if (path === "/analytics" || path === "/developer") return route(path.slice(1));
  return route("list");
}

function parsePosition(text) {
  return /^\d{1,7}(\.\d{1,3})?$/.test(text ?? "") ? Number(text) : null;
}

const withQuery = (path, query) => (query ? `${path}?${query}` : path);

export const listHref = (filter = NO_FILTER) => withQuery(serializeFilter(filter) ? "#/calls" : "#/", serializeFilter(filter));
export const callHref = (callId, filter = NO_FILTER) => withQuery(`#/calls/${encodeURIComponent(callId)}`, serializeFilter(filter));
export const positionHref = (callId, atS) => `#/calls/${encodeURIComponent(callId)}?t=${Math.round(atS * 10) / 10}`;
export const contactHref = (contactId) => `#/contacts/${encodeURIComponent(contactId)}`;
export const analyticsHref = "#/analytics";
export const developerHref = "#/developer";
