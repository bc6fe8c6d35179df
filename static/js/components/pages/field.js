import { html } from "../../ui.js";

/** A labelled form field with a hint below. `children`: the control, which has the id `id` and is described by `${id}-hint`. */
export function Field({ id, label, hint, children }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children}
    ${hint && html`<span class="muted small" id=${`${id}-hint`}>${hint}</span>`}
  </div>`;
}
