import { STATUSES } from "../search/filter.js";
import { html } from "../ui.js";

export function CallStatus({ status }) {
  const isKnown = Object.hasOwn(STATUSES, status ?? "");
  return html`<span class="status" data-status=${isKnown ? status : "open"}>${isKnown ? STATUSES[status] : "In progress"}</span>`;
}
