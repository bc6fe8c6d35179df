// What a call is called. Pure: the words that several views share.

import { phone } from "./format.js";

/** The number of the other side: who called, or who was called. */
export const otherNumber = ({ direction, from, to }) => (direction === "inbound" ? from : to);

export const directionWord = ({ direction }) => (direction === "inbound" ? "Inbound" : "Outbound");

export const hasRecording = ({ recordings }) => Array.isArray(recordings) && recordings.length > 0;

/** The contact's name; a contact without one is known by the number. */
export const contactLabel = (call) => call.contactName || phone(otherNumber(call));
