// The filter of the audit page: read from and written to the address, and sent to the server. Pure.

import { DATES, dateRange } from "./filter.js";

/** What is in the audit log. */
export const AUDITED = {
  signed_in: "Signed in",
  listened: "Opened a recording",
  downloaded: "Downloaded a recording",
  exported: "Exported",
  renamed: "Renamed a contact",
  erased: "Erased",
  expired: "Retention erased",
  replayed: "Replayed deliveries",
  amended: "Changed a call",
  retried: "Had a recording fetched again",
  person_changed: "Changed people",
  password_changed: "Changed a password",
  key_changed: "Changed an API key",
  source_changed: "Changed a source",
  token_changed: "Changed a read token",
  organization_changed: "Changed the organization",
};

const FIELDS = {
  what: (value) => Object.hasOwn(AUDITED, value),
  who: (value) => value.length > 0 && value.length <= 320,
  callId: (value) => /^[\w-]{1,64}$/.test(value),
  date: (value) => Object.hasOwn(DATES, value),
};

/**
 * @param {URLSearchParams} params of an address; unknown names and invalid values are ignored.
 * @returns {{what?: string, who?: string, callId?: string, date?: string}} `who`: an e-mail address, or the id of a user or a read token
 */
export function parseAuditFilter(params) {
  return Object.fromEntries(
    Object.entries(FIELDS).flatMap(([name, isValid]) => {
      const value = params.get(name);
      return value !== null && isValid(value) ? [[name, value]] : [];
    }),
  );
}

/** The filter as a query string, in a fixed order; "" for no filter. */
export function serializeAuditFilter(filter) {
  return String(new URLSearchParams(Object.keys(FIELDS).flatMap((name) => (filter[name] ? [[name, filter[name]]] : []))));
}

/** The filter as the server takes it, with instants instead of a date. */
export function auditQuery({ date, ...filter }, nowMs) {
  const [fromMs, toMs] = dateRange({ date }, nowMs);
  return {
    ...filter,
    ...(fromMs === undefined ? {} : { from: new Date(fromMs).toISOString() }),
    ...(toMs === undefined ? {} : { to: new Date(toMs).toISOString() }),
  };
}
