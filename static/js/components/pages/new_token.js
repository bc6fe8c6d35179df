import { endsAfter, LIFETIMES, SCOPES } from "../../format/read_token.js";
import { html, useApp, useEffect, useRef, useState } from "../../ui.js";
import { Field } from "./field.js";

/** The form with which a read token is made. `onMade` gets what the server answered. */
export function NewToken({ onMade, onCancel }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, error: null });
  const form = useRef(null);
  useEffect(() => form.current.elements.name.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const { name, lifetime } = form.current.elements;
    const scopes = SCOPES.map(([scope]) => scope).filter((scope) => form.current.elements[scope].checked);
    const [days] = LIFETIMES[Number(lifetime.value)];
    if (scopes.length === 0) {
      setState({ isBusy: false, error: "Choose what the token reads." });
      form.current.elements[SCOPES[0][0]].focus();
      return;
    }
    setState({ isBusy: true, error: null });
    try {
      onMade(await api.makeToken({ name: name.value, scopes, expiresAt: endsAfter(days, Date.now()) }));
    } catch ({ message, field }) {
      setState({ isBusy: false, error: message });
      form.current?.elements[field]?.focus?.();
    }
  };
  return html`<form class="invite" ref=${form} aria-label="New read token" onSubmit=${submit}>
    <div class="invite-fields">
      <${Field} id="token-name" label="Name" hint="Of the program that uses it, such as “Wallboard”.">
        <input id="token-name" name="name" maxlength="200" autocomplete="off" dir="auto" aria-describedby="token-name-hint" required />
      <//>
      <${Field} id="token-lifetime" label="Expires">
        <select id="token-lifetime" name="lifetime">
          ${LIFETIMES.map(([, text], at) => html`<option value=${at}>${text}</option>`)}
        </select>
      <//>
    </div>
    <fieldset class="invite-roles">
      <legend>It reads</legend>
      ${SCOPES.map(
        ([scope, text, may], at) => html`<label class="invite-role">
          <input type="checkbox" name=${scope} defaultChecked=${at === 0} />
          <span><strong>${text}</strong> <span class="muted">${may}</span></span>
        </label>`,
      )}
    </fieldset>
    <p class="form-error" role="alert">${state.error}</p>
    <p class="account-save">
      <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Making a token…" : "Make token"}</button>
      <button class="button" type="button" onClick=${onCancel}>Cancel</button>
    </p>
  </form>`;
}
