import { html, useState } from "../ui.js";

/** A labelled field for a password, which can be shown. `inputRef`: the input; `children`: a hint below. */
export function PasswordField({ id, label, name, autocomplete, inputRef, children }) {
  const [isShown, setShown] = useState(false);
  const isNew = autocomplete === "new-password";
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <span class="password">
      <input
        id=${id}
        ref=${inputRef}
        type=${isShown ? "text" : "password"}
        name=${name}
        autocomplete=${autocomplete}
        autocapitalize="none"
        spellcheck=${false}
        minlength=${isNew ? 10 : null}
        maxlength="1024"
        aria-describedby=${children ? `${id}-hint` : null}
        required
      />
      <button
        class="password-show"
        type="button"
        aria-pressed=${isShown ? "true" : "false"}
        aria-controls=${id}
        onClick=${() => setShown(!isShown)}
      >
        ${isShown ? "Hide" : "Show"}
      </button>
    </span>
    ${children && html`<span class="muted small" id=${`${id}-hint`}>${children}</span>`}
  </div>`;
}

export const PASSWORD_RULE = "At least 10 characters, such as four unrelated words. Not your name or address, nor a well-known password.";
