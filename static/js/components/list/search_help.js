import { html, useRef } from "../../ui.js";
import { Icon } from "../icon.js";

const WAYS = [
  ["travel crown", "both words, in any order; of the last one the beginning is enough"],
  ["416-555-0199", "a number as you write it, or four digits of it or more"],
  ["予約", "any part of a sentence in a script without spaces"],
  ['"see you friday"', "these words beside each other"],
  ['-later -"no show"', "leaves out calls in which this was said"],
  ["agent:rosa", "calls of an agent"],
  ["plan:gold", "what your calling system sends with a call, by its name"],
  ["id:4711", "the id of a call, yours or your calling system's; pasted alone it is found as well"],
];

/** What can be written into the search field, behind a button. */
export function SearchHelp() {
  const dialog = useRef(null);
  return html`<button class="icon-button search-help" type="button" aria-label="How to search" title="How to search" onClick=${() => dialog.current.showModal()}>
      <${Icon} name="help" />
    </button>
    <dialog class="dialog search-dialog" ref=${dialog} aria-labelledby="search-help-title">
      <h2 id="search-help-title">How to search</h2>
      <dl class="ways">
        ${WAYS.map(
          ([search, meaning]) => html`<div>
            <dt><code>${search}</code></dt>
            <dd>${meaning}</dd>
          </div>`,
        )}
      </dl>
      <p class="muted small">Names, numbers, summaries, transcripts and details are searched. Capitals and accents do not matter.</p>
      <form method="dialog"><button class="button" type="submit">Close</button></form>
    </dialog>`;
}
