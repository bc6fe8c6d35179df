// The filter of the page of deliveries: read from and written to the address, and sent to the server. Pure.

import { DATES, dateRange } from "./filter.js";

/** What can become of a delivery. */
export const VERDICTS = {
  refused: "Refused",
  dead: "Unusable",
  created: "New call",
  merged: "Call changed",
  duplicate: "Duplicate",
  waiting: "Waiting",
  ignored: "Ignored",
};

const isWord = (value) => /^[\w.-]{1,64}$/.test(value);
const FIELDS = {
  source: isWord,
  verdict: (value) => Object.hasOwn(VERDICTS, value),
  code: isWord,
  date: (value) => Object.hasOwn(DATES, value),
  callId: isWord,
};

/**
 * @param {URLSearchParams} params of an address; unknown names and invalid values are ignored.
 * @returns {{source?: string, verdict?: string, code?: string, date?: string, callId?: string}} `source`: its id
 */
export function parseDeliveryFilter(params) {
  return Object.fromEntries(
    Object.entries(FIELDS).flatMap(([name, isValid]) => {
      const value = params.get(name);
      return value !== null && isValid(value) ? [[name, value]] : [];
    }),
  );
}

/** The filter as a query string, in a fixed order; "" for no filter. */
export function serializeDeliveryFilter(filter) {
  return String(new URLSearchParams(Object.keys(FIELDS).flatMap((name) => (filter[name] ? [[name, filter[name]]] : []))));
}

/** The filter as the server takes it, with instants instead of a date. */
export function deliveryQuery({ date, ...filter }, nowMs) {
  const [fromMs, toMs] = dateRange({ date }, nowMs);
  return {
    ...filter,
    ...(fromMs === undefined ? {} : { from: new Date(fromMs).toISOString() }),
    ...(toMs === undefined ? {} : { to: new Date(toMs).toISOString() }),
  };
}
