import { copyText } from "../../browser/clipboard.js";
import { html, useState } from "../../ui.js";

/** A button that copies a text, and says so. */
export function Copy({ text, label }) {
  const [result, setResult] = useState(null);
  const copy = async () => {
    setResult((await copyText(text)) ? "Copied" : "Couldn't copy");
    setTimeout(() => setResult(null), 2_500);
  };
  return html`<button class="button" type="button" disabled=${!text} onClick=${copy}>${result ?? label}</button>
    <span class="visually-hidden" role="status">${result}</span>`;
}
