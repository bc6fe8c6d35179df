import { html } from "../ui.js";

/** Shown in place of a view that is being loaded. */
export function Loading() {
  return html`<p class="muted page-waiting" role="status">Loading…</p>`;
}
