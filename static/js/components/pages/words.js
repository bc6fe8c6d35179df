import { wordsOf } from "../../format/vendors.js";
import { html } from "../../ui.js";

/** A vendor's text with the console's own words in bold, and code as code. */
export function Words({ text }) {
  return wordsOf(text).map(({ text: part, is }) => {
    if (is === "ui") return html`<b>${part}</b>`;
    return is === "code" ? html`<code class="mono">${part}</code>` : part;
  });
}
