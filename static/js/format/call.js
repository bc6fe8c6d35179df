// How a call is labelled wherever it is shown. Pure.

import { STATUSES } from "../search/filter.js";
import { phone } from "./phone.js";
import { totalTime } from "./time.js";

const NO_NAME = "Unknown Caller"; // the server's name for a contact without one

/** The other party's number or SIP address: the caller's, or the one that was called; null if the caller withheld it. */
export const otherNumber = ({ direction, from, to }) => (direction === "inbound" ? from : to);

/** A number in words: of a caller who withheld it, too. `home`: see `phone`. */
export const party = (number, home) => (number === null ? "Withheld number" : phone(number, home));

/** Our own number in a call. */
const ownNumber = ({ direction, from, to }) => (direction === "inbound" ? to : from);

/** Both numbers of a call, each written as wherever the call is shown. @returns {{from: string, to: string}} */
export const bothPhones = (call) => ({ from: party(call.from, ownNumber(call)), to: party(call.to, ownNumber(call)) });

/** The address that calls a number or a SIP address; null if it is neither. */
export function dialHref(number) {
  if (/^\+\d+$/.test(number ?? "")) return `tel:${number}`;
  return /^sips?:[^\s<>"]+$/i.test(number ?? "") ? number : null;
}

/** The other party's number as it is written in the country of our own number. */
export const otherPhone = (call) => party(otherNumber(call), ownNumber(call));

export const directionLabel = ({ direction }) => (direction === "inbound" ? "Inbound" : "Outbound");

// Of a recording's kind the player tells: it plays a copy, or says that there is none.
export const warningsShown = ({ warnings = [] }) => warnings.filter(({ code }) => code !== "not_playable");

export const hasRecording = ({ recordings }) => Array.isArray(recordings) && recordings.length > 0;

/** The contact's name, or the number of a contact without one. */
export const contactLabel = (call) => call.contactName || otherPhone(call);

/** What a row of the list calls the other party, and what it adds: of somebody unknown the number says more than the name. */
export function rowLabels(call) {
  const [name, number] = [contactLabel(call), otherPhone(call)];
  return name === NO_NAME ? { label: number, sub: name } : { label: name, sub: number === name ? "" : number };
}

/** How much a call asks for attention: "missed", inbound and nobody spoke; "calm", an outbound one that went well; else "". */
export function rowWeight({ direction, status }) {
  const isDone = status === undefined || status === "completed";
  if (direction === "inbound") return isDone ? "" : "missed";
  return isDone ? "calm" : "";
}

/** What a call was about: its summary; of a call that nobody took, how long it rang. */
export function callGist({ status, duration, summary }) {
  if (summary) return summary;
  return status === "no-answer" && duration >= 1 ? `Rang ${totalTime(duration)}` : "";
}

/** What an alert says: the name or else the number; the summary, or what is needed to call back. */
export function alertText(call) {
  const number = otherPhone(call);
  const title = call.contactName === NO_NAME ? number : contactLabel(call);
  if (call.status === "completed" && call.summary) return { title, body: call.summary };
  const facts = [STATUSES[call.status], `${directionLabel(call).toLowerCase()} call`, title !== number && number, call.agentName];
  return { title, body: facts.filter(Boolean).join(", ") };
}
