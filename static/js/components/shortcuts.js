import { html, useKeys } from "../ui.js";

const KEYS = [
  ["j", "k", "Next and previous call"],
  ["Enter", null, "Open the call"],
  ["/", null, "Search"],
  ["f", null, "Choose filters"],
  ["n", "N", "Next and previous match in the call"],
  ["Space", null, "Play or pause the recording"],
  ["←", "→", "Back or forward 5 seconds"],
  ["1", "5", "Play at 1×, 1.25×, 1.5×, 2× or 3×", "to"],
  ["c", null, "Copy a link to this moment"],
  ["Esc", null, "Close the call or clear the search"],
  ["?", null, "Show keyboard shortcuts"],
];

const ID = "shortcuts";

export const showShortcuts = () => document.getElementById(ID).showModal();

/** The dialog of keyboard shortcuts, opened by `?` and by the account menu. */
export function Shortcuts() {
  useKeys({ "?": showShortcuts });
  return html`<dialog class="dialog" id=${ID} aria-labelledby="shortcuts-title">
    <h2 id="shortcuts-title">Keyboard shortcuts</h2>
    <dl class="keys">
      ${KEYS.map(
        ([key, other, meaning, between = ""]) => html`<div>
          <dt><kbd>${key}</kbd>${other && html` ${between} <kbd>${other}</kbd>`}</dt>
          <dd>${meaning}</dd>
        </div>`,
      )}
    </dl>
    <form method="dialog"><button class="button" type="submit">Close</button></form>
  </dialog>`;
}
