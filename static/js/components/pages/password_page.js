import { html, useApp, useEffect, useObservable, useRef, useState } from "../../ui.js";
import { PASSWORD_RULE, PasswordField } from "../password_field.js";

/** Another password for who is signed in. */
export function Content() {
  const { api, session, title } = useApp();
  const { user } = useObservable(session);
  const [state, setState] = useState({ isBusy: false, isSaved: false, error: null });
  const current = useRef(null);
  const fresh = useRef(null);
  useEffect(() => title.show("Password"), []);
  const save = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    setState({ isBusy: true, isSaved: false, error: null });
    try {
      await api.changePassword(current.current.value, fresh.current.value);
      form.reset();
      setState({ isBusy: false, isSaved: true, error: null });
    } catch ({ field, message }) {
      setState({ isBusy: false, isSaved: false, error: message });
      (field === "current" ? current : fresh).current.focus();
    }
  };
  return html`<div class="account-page">
    <h2 class="page-title">Password</h2>
    <p class="muted">Another password ends your sessions on all other devices.</p>
    <form class="account-form" method="post" onSubmit=${save}>
      <input type="email" name="email" autocomplete="username" value=${user?.email} hidden readonly />
      <${PasswordField} id="current" label="Current password" name="current" autocomplete="current-password" inputRef=${current} />
      <${PasswordField} id="new" label="New password" name="new" autocomplete="new-password" inputRef=${fresh}>${PASSWORD_RULE}<//>
      <p class="form-error" role="alert">${state.error}</p>
      <p class="account-save">
        <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Saving…" : "Change password"}</button>
        <span role="status">${state.isSaved && "Changed. Your other sessions have ended."}</span>
      </p>
    </form>
    <p class="muted small">Forgot the current one? An admin of your organization can give you a link to choose another.</p>
  </div>`;
}
