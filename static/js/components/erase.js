import { may } from "../state/session.js";
import { html, useApp, useObservable, useRef, useState } from "../ui.js";
import { Icon } from "./icon.js";

/**
 * Erases something for good, once that is confirmed. Only admins see it.
 *
 * @param {object} props
 *   what            "call" or "contact"
 *   consequences    a sentence that says what goes
 *   erase()         returns a promise
 */
export function Erase({ what, consequences, erase }) {
  const { session } = useApp();
  const { user } = useObservable(session);
  const dialog = useRef(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  if (!may(user, "erase")) return null;
  const ask = () => {
    dialog.current.returnValue = "no";
    dialog.current.showModal();
  };
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await erase();
    } catch (failure) {
      setError(failure.message);
    }
    setBusy(false);
  };
  return html`<button class="tool" type="button" disabled=${isBusy} onClick=${ask}>
      <${Icon} name="erase" /><span>${isBusy ? "Erasing…" : "Erase…"}</span>
    </button>
    ${error && html`<span class="form-error" role="alert">${error}</span>`}
    <dialog
      class="dialog"
      ref=${dialog}
      aria-labelledby="erase-title"
      onClose=${() => dialog.current.returnValue === "yes" && run()}
    >
      <h2 id="erase-title">Erase this ${what} for good?</h2>
      <p>${consequences} This cannot be undone.</p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no">Cancel</button>
        <button class="button button-main" value="yes">Erase ${what}</button>
      </form>
    </dialog>`;
}
