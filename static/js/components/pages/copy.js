import { html } from "../../ui.js";
import { useCopy } from "../copying.js";

/** A button that copies a text, and says so. */
export function Copy({ text, label }) {
  const [result, copy] = useCopy();
  return html`<button class="button" type="button" disabled=${!text} onClick=${() => copy(text)}>${result ?? label}</button>
    <span class="visually-hidden" role="status">${result}</span>`;
}
