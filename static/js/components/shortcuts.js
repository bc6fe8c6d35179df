import { html, useKeys, useRef } from "../ui.js";

const KEYS = [
  ["j", "k", "Next and previous call"],
  ["Enter", null, "Open the call"],
  ["Space", null, "Play and pause the recording"],
  ["←", "→", "5 seconds back and on"],
  ["/", null, "Search"],
  ["Esc", null, "Close the call, leave the search"],
  ["?", null, "This help"],
];

/** The keys, on `?`. */
export function Help() {
  const dialog = useRef(null);
  useKeys({ "?": () => dialog.current.showModal() });
  return html`<dialog class="dialog" ref=${dialog} aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <dl class="keys">
      ${KEYS.map(
        ([key, other, meaning]) => html`<div>
          <dt><kbd>${key}</kbd>${other && html` <kbd>${other}</kbd>`}</dt>
          <dd>${meaning}</dd>
        </div>`,
      )}
    </dl>
    <form method="dialog"><button class="button" type="submit">Close</button></form>
  </dialog>`;
}
