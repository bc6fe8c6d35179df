import { STATUSES } from "../search/filter.js";
import { html } from "../ui.js";

/** A call's status: its shape and its word; with `isQuiet` a completed call has the shape alone, and the word as its tooltip. */
export function CallStatus({ status, isQuiet = false }) {
  const isKnown = Object.hasOwn(STATUSES, status ?? "");
  const text = isKnown ? STATUSES[status] : "In progress";
  const isShort = isQuiet && status === "completed";
  return html`<span class="status" data-status=${isKnown ? status : "open"} title=${isShort ? text : null}>
    ${isShort ? html`<span class="visually-hidden">${text}</span>` : text}
  </span>`;
}
