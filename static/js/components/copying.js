import { copyText } from "../browser/clipboard.js";
import { html, useState } from "../ui.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 2_500;

/** @returns {[string | null, (text: string) => Promise<void>]} for a moment what became of it, "Copied"; and what copies a text */
export function useCopy() {
  const [result, setResult] = useState(null);
  const copy = async (text) => {
    setResult((await copyText(text)) ? "Copied" : "Couldn't copy");
    setTimeout(() => setResult(null), SHOWN_MS);
  };
  return [result, copy];
}

/** A quiet icon that copies a text. `label`: what it does, "Copy number". */
export function CopyIcon({ text, label, icon = "copy" }) {
  const [result, copy] = useCopy();
  return html`<button class="copy-icon" type="button" title=${result ?? label} aria-label=${label} data-done=${result} onClick=${() => copy(text)}>
      <${Icon} name=${result === "Copied" ? "check" : icon} />
    </button>
    <span class="visually-hidden" role="status">${result}</span>`;
}
