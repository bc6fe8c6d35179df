import { html, useEffect, useRef, useState } from "../ui.js";
import { PasswordField } from "./password_field.js";

export function SignIn({ session }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const email = useRef(null);
  const password = useRef(null);

  useEffect(() => (session.lastEmail ? password : email).current.focus(), []);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await session.signIn(email.current.value.trim(), password.current.value);
    } catch (failure) {
      setBusy(false);
      setError(failure.message);
      password.current.select();
    }
  }

  return html`<main class="sign-in">
    <form class="sign-in-card" onSubmit=${submit} method="post">
      <h1 class="brand brand-large">tether</h1>
      <p class="muted">${session.message ?? "Sign in to see your calls in real time."}</p>
      <label class="field">
        <span>Email</span>
        <input ref=${email} type="email" name="email" autocomplete="username" value=${session.lastEmail} required />
      </label>
      <${PasswordField} id="password" label="Password" name="password" autocomplete="current-password" inputRef=${password} />
      <p class="form-error" role="alert">${error}</p>
      <button class="button button-main" type="submit" aria-disabled=${isBusy ? "true" : null} disabled=${isBusy}>
        ${isBusy ? "Signing in…" : "Sign in"}
      </button>
      <p class="muted small">Forgot your password? An admin of your organization can send you a link.</p>
    </form>
  </main>`;
}
