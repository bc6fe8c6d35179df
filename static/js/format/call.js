// What a call is called. Pure: the words that several views share.

import { phone } from "./phone.js";

/** The number of the other side: who called, or who was called. */
export const otherNumber = ({ direction, from, to }) => (direction === "inbound" ? from : to);

/** That number as it is written at the number of the own side. */
export const otherPhone = (call) => phone(otherNumber(call), call.direction === "inbound" ? call.to : call.from);

export const directionWord = ({ direction }) => (direction === "inbound" ? "Inbound" : "Outbound");

export const hasRecording = ({ recordings }) => Array.isArray(recordings) && recordings.length > 0;

/** The contact's name; a contact without one is known by the number. */
export const contactLabel = (call) => call.contactName || otherPhone(call);
