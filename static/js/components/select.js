// A drop-down list of a filter: `options` are texts by value, `any` is the choice of none.

import { html } from "../ui.js";

export function Select({ label, value = "", options, any, onPick }) {
  return html`<label class="choice" data-chosen=${value ? "" : null}>
    <span class="visually-hidden">${label}</span>
    <select value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>
      <option value="">${any}</option>
      ${Object.entries(options).map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  </label>`;
}
