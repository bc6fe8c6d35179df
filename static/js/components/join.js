import { html, useAsync, useEffect, useRef, useState } from "../ui.js";
import { PASSWORD_RULE, PasswordField } from "./password_field.js";

const USER_KEY = "tether.user"; // of who was signed in here before: see state/session.js

/** Asks for a password and signs in. */
export function Join({ api, token }) {
  const { value: link, error } = useAsync(() => api.link(token), [token]);
  return html`<main class="sign-in">
    <div class="sign-in-card">
      <h1 class="brand brand-large">tether</h1>
      ${error && html`<p role="alert">${error.message}</p><p><a href="./">Go to the sign-in</a></p>`}
      ${link && html`<${JoinForm} api=${api} token=${token} link=${link} />`}
      ${!link && !error && html`<p class="muted" role="status">Loading…</p>`}
    </div>
  </main>`;
}

function JoinForm({ api, token, link: { kind, email, fullName, organizationName } }) {
  const [state, setState] = useState({ isBusy: false, error: null });
  const password = useRef(null);
  useEffect(() => password.current.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      await api.join(token, password.current.value);
      localStorage.removeItem(USER_KEY);
      location.replace("./");
    } catch ({ message }) {
      setState({ isBusy: false, error: message });
      password.current?.focus();
    }
  };
  return html`<p class="muted">
      ${
        kind === "invite"
          ? html`Welcome, <bdi>${fullName}</bdi>. Choose a password to join <bdi>${organizationName}</bdi>.`
          : html`Choose another password, <bdi>${fullName}</bdi>. It ends all your sessions.`
      }
    </p>
    <form class="sign-in-form" onSubmit=${submit} method="post">
      <label class="field">
        <span>Email</span>
        <input type="email" name="email" autocomplete="username" value=${email} readonly />
      </label>
      <${PasswordField} id="password" label="New password" name="password" autocomplete="new-password" inputRef=${password}>${PASSWORD_RULE}<//>
      <p class="form-error" role="alert">${state.error}</p>
      <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Signing in…" : kind === "invite" ? "Join" : "Save and sign in"}</button>
    </form>`;
}
