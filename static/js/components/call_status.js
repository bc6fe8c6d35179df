import { html } from "../ui.js";

const WORDS = { completed: "Completed", "no-answer": "No answer", busy: "Busy", failed: "Failed" };

export function Status({ status }) {
  const known = Object.hasOwn(WORDS, status ?? "");
  return html`<span class="status" data-status=${known ? status : "open"}>
    ${known ? WORDS[status] : "In progress"}
  </span>`;
}
