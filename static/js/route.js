// The routes of the address bar. Pure: `#/` and `#/calls?status=…` are the list, `#/calls/<id>` is a call beside the list,
// `#/contacts/<id>`, `#/analytics`, `#/developer`, `#/deliveries?verdict=…`, `#/deliveries/<id>`, `#/sources`, `#/sources/<id>`,
// `#/sources/new`, `#/payload-test?source=…`, `#/audit?what=…`, `#/people`, `#/tokens`, `#/settings` and `#/password` are
// pages. Any other address is the list.

import { parseAuditFilter, serializeAuditFilter } from "./search/audit_filter.js";
import { parseDeliveryFilter, serializeDeliveryFilter } from "./search/delivery_filter.js";
import { NO_FILTER, parseFilter, serializeFilter } from "./search/filter.js";

const PAGES = new Set(["/analytics", "/developer", "/deliveries", "/sources", "/payload-test", "/audit", "/people", "/tokens", "/settings", "/password"]);
const ONE_OF = { calls: "call", contacts: "contact", deliveries: "deliveries", sources: "sources" };
const DELIVERY_PAGES = new Set(["deliveries", "payload-test"]); // with the filter of deliveries in the address

/**
 * @returns {{name: "list" | "call" | "contact" | "analytics" | "developer" | "deliveries" | "sources" | "payload-test" | "audit" |
 *     "people" | "tokens" | "settings" | "password", id: string | null,
 *     filter: object, atS: number | null}}
 *     `id`: of the call, the contact, the delivery or the source; `filter`: of the calls or the deliveries; `atS`: a position in the
 *     recording, in seconds
 */
export function parseRoute(hash) {
  const [, path, query] = /^#?([^?]*)\??(.*)$/s.exec(hash);
  const params = new URLSearchParams(query);
  const route = (name, id = null) => ({
    ...{ name, id, atS: parsePosition(params.get("t")) },
    filter: DELIVERY_PAGES.has(name) ? parseDeliveryFilter(params) : name === "audit" ? parseAuditFilter(params) : parseFilter(params),
  });
  const match = /^\/(calls|contacts|deliveries|sources)\/([^/?#]+)$/.exec(path);
  if (match) {
    try {
      return route(ONE_OF[match[1]], decodeURIComponent(match[2]));
    } catch {
      return route("list"); // an invalid percent escape
    }
  }
  if (PAGES.has(path)) return route(path.slice(1));
  return route("list");
}

function parsePosition(text) {
  return /^\d{1,7}(\.\d{1,3})?$/.test(text ?? "") ? Number(text) : null;
}

const withQuery = (path, query) => (query ? `${path}?${query}` : path);

export const listHref = (filter = NO_FILTER) => withQuery(serializeFilter(filter) ? "#/calls" : "#/", serializeFilter(filter));
export const callHref = (callId, filter = NO_FILTER, atS = null) => {
  const query = [serializeFilter(filter), atS !== null && `t=${Math.round(atS * 10) / 10}`].filter(Boolean).join("&");
  return withQuery(`#/calls/${encodeURIComponent(callId)}`, query);
};
export const positionHref = (callId, atS) => callHref(callId, NO_FILTER, atS);
export const contactHref = (contactId) => `#/contacts/${encodeURIComponent(contactId)}`;
export const analyticsHref = (filter = NO_FILTER) => withQuery("#/analytics", serializeFilter(filter));
export const developerHref = "#/developer";
export const peopleHref = "#/people";
export const tokensHref = "#/tokens";
export const settingsHref = "#/settings";
export const passwordHref = "#/password";
export const sourcesHref = "#/sources";
export const newSourceHref = "#/sources/new";
export const sourceHref = (sourceId) => `#/sources/${encodeURIComponent(sourceId)}`;
export const payloadTestHref = (source) => withQuery("#/payload-test", serializeDeliveryFilter({ source }));
export const deliveriesHref = (filter = {}) => withQuery("#/deliveries", serializeDeliveryFilter(filter));
export const deliveryHref = (deliveryId, filter = {}) =>
  withQuery(`#/deliveries/${encodeURIComponent(deliveryId)}`, serializeDeliveryFilter(filter));
export const auditHref = (filter = {}) => withQuery("#/audit", serializeAuditFilter(filter));
