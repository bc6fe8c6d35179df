// How a call is labelled wherever it is shown. Pure.

import { phone } from "./phone.js";

/** The other party's number: the caller's, or the number that was called. */
export const otherNumber = ({ direction, from, to }) => (direction === "inbound" ? from : to);

/** That number as it is written in the country of our own number. */
export const otherPhone = (call) => phone(otherNumber(call), call.direction === "inbound" ? call.to : call.from);

export const directionLabel = ({ direction }) => (direction === "inbound" ? "Inbound" : "Outbound");

export const hasRecording = ({ recordings }) => Array.isArray(recordings) && recordings.length > 0;

/** The contact's name, or the number of a contact without one. */
export const contactLabel = (call) => call.contactName || otherPhone(call);
