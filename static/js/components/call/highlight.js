import { highlight } from "../../search/marks.js";
import { html } from "../../ui.js";

/** A text with the words of a search highlighted. */
export function Highlight({ text, query }) {
  return highlight(text, query).map((piece) => (piece.isMatch ? html`<mark>${piece.text}</mark>` : piece.text));
}
