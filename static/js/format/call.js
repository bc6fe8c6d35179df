// How a call is labelled wherever it is shown. Pure.

import { phone } from "./phone.js";

/** The other party's number or SIP address: the caller's, or the one that was called; null if the caller withheld it. */
export const otherNumber = ({ direction, from, to }) => (direction === "inbound" ? from : to);

/** A number in words: of a caller who withheld it, too. `home`: see `phone`. */
export const party = (number, home) => (number === null ? "Withheld number" : phone(number, home));

/** The other party's number as it is written in the country of our own number. */
export const otherPhone = (call) => party(otherNumber(call), call.direction === "inbound" ? call.to : call.from);

export const directionLabel = ({ direction }) => (direction === "inbound" ? "Inbound" : "Outbound");

export const hasRecording = ({ recordings }) => Array.isArray(recordings) && recordings.length > 0;

/** The contact's name, or the number of a contact without one. */
export const contactLabel = (call) => call.contactName || otherPhone(call);
