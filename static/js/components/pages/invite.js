import { html, useApp, useEffect, useRef, useState } from "../../ui.js";
import { Field } from "./field.js";

/** By what the server calls them: the name, and what the role may do. */
export const ROLES = [
  ["agent", "Agent", "listens, exports, renames contacts"],
  ["viewer", "Viewer", "reads calls and figures alone"],
  ["admin", "Admin", "also manages people, sources and settings"],
];

/** The form with which somebody is invited. */
export function Invite({ onInvited, onCancel }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, error: null });
  const form = useRef(null);
  useEffect(() => form.current.elements.email.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const { email, fullName, role } = form.current.elements;
    setState({ isBusy: true, error: null });
    try {
      onInvited(await api.invite({ email: email.value.trim(), fullName: fullName.value, role: role.value }));
    } catch ({ message, field }) {
      setState({ isBusy: false, error: message });
      form.current?.elements[field]?.focus?.();
    }
  };
  return html`<form class="invite" ref=${form} aria-label="Invite somebody" onSubmit=${submit}>
    <div class="invite-fields">
      <${Field} id="invite-email" label="Email">
        <input id="invite-email" name="email" type="email" maxlength="254" autocomplete="off" required />
      <//>
      <${Field} id="invite-name" label="Name">
        <input id="invite-name" name="fullName" maxlength="200" autocomplete="off" dir="auto" required />
      <//>
    </div>
    <fieldset class="invite-roles">
      <legend>Role</legend>
      ${ROLES.map(
        ([value, name, may], at) => html`<label class="invite-role">
          <input type="radio" name="role" value=${value} defaultChecked=${at === 0} />
          <span><strong>${name}</strong> <span class="muted">${may}</span></span>
        </label>`,
      )}
    </fieldset>
    <p class="form-error" role="alert">${state.error}</p>
    <p class="account-save">
      <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Making a link…" : "Make a link"}</button>
      <button class="button" type="button" onClick=${onCancel}>Cancel</button>
      <span class="muted small">tether sends no mail: you pass the link on.</span>
    </p>
  </form>`;
}
