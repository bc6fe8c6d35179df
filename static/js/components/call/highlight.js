import { html } from "../../ui.js";
import { marked } from "../../search/query.js";

/** A text with the words of a search marked. */
export function Marked({ text, query }) {
  return marked(text, query).map((piece) => (piece.isHit ? html`<mark>${piece.text}</mark>` : piece.text));
}
