import { PROOFS, VENDORS } from "../../format/vendors.js";
import { html, useApp, useState } from "../../ui.js";
import { Field } from "./field.js";

const RECORDINGS = { now: "At once, before the call is accepted", later: "Later, after the call is accepted" };

// What can be set for webhooks: each as its form field, and between its text and the API's value.
const list = { show: (value) => (value ?? []).join(", "), read: (text) => text.split(/[,;\n]/).map((one) => one.trim()).filter(Boolean) };
const text = { show: (value) => value ?? "", read: (value) => value.trim() || null };
const number = { show: (value) => value ?? "", read: (value) => (value === "" ? null : Number(value)) };
const FIELDS = {
  numbers: { ...list, label: "Own numbers", hint: "In international form, such as +14165550100, separated by commas. They tell whether a call came in or went out." },
  agentIds: { ...list, label: "Agents", hint: "The vendor's agent IDs, separated by commas. Calls of other agents are ignored. Empty: all agents." },
  toleranceS: {
    ...number,
    label: "Age of a signature, in seconds",
    hint: "Older ones are refused. Empty: what this vendor needs.",
    attributes: { type: "number", min: 1, step: "any" },
  },
  publicUrl: {
    ...text,
    label: "Public URL",
    hint: "How the vendor reaches this server, such as https://calls.example.com: it signs the address that it calls.",
    attributes: { type: "url" },
  },
  fetchUser: { ...text, label: "User for recordings", hint: "For recordings behind a login, such as the account SID or an API key.", attributes: { autocomplete: "off" } },
  fetchPassword: {
    ...text,
    label: "Password for recordings",
    hint: "Sent to the vendor's own hosts alone, and never shown. Empty: it stays as it is.",
    attributes: { type: "password", autocomplete: "new-password" },
  },
};

/** The name and the settings of a source. What is entered is saved together. */
export function SourceSettings({ source, reload }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, isSaved: false, error: null });
  const { id, kind, name, settings } = source;
  const vendor = VENDORS[kind];
  const names = vendor?.settings ?? [];
  const save = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setState({ isBusy: true, isSaved: false, error: null });
    try {
      await api.changeSource(id, { name: form.get("name").trim(), settings: settingsOf(form, names) });
      reload();
      setState({ isBusy: false, isSaved: true, error: null });
    } catch ({ message }) {
      setState({ isBusy: false, isSaved: false, error: message });
    }
  };
  return html`<section aria-labelledby="settings-title">
    <h3 id="settings-title">Settings</h3>
    <form class="settings-form" onSubmit=${save} onInput=${() => state.isSaved && setState({ ...state, isSaved: false })}>
      <${Text} name="name" label="Name" hint="Calls that come from now on carry it." value=${name} attributes=${{ maxlength: 200, required: true, dir: "auto" }} />
      ${settings.proof && html`<${Choice} name="proof" label="Proof of origin" value=${settings.proof} options=${Object.fromEntries(Object.entries(PROOFS).map(([key, proof]) => [key, proof.name]))} />`}
      ${names.map((one) => {
        const { label, hint, show, attributes } = FIELDS[one];
        return html`<${Text} key=${one} name=${one} label=${label} hint=${hint} value=${show(settings[one])} attributes=${attributes} isSet=${one === "fetchPassword" && settings.fetchPasswordSet} />`;
      })}
      ${kind === "api" && html`<${Choice} name="recordings" label="Fetch recordings that are addresses" value=${settings.recordings} options=${RECORDINGS} />`}
      <label class="check">
        <input type="checkbox" name="historic" defaultChecked=${settings.historic} />
        Calls are from the past: show them without notice
      </label>
      <p class="settings-save">
        <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Saving…" : "Save settings"}</button>
        <span class="muted" role="status">${state.isSaved && "Saved"}</span>
      </p>
      ${state.error && html`<p class="form-error" role="alert">${state.error}</p>`}
    </form>
  </section>`;
}

function settingsOf(form, names) {
  const settings = { historic: form.has("historic") };
  for (const name of ["recordings", "proof"]) if (form.has(name)) settings[name] = form.get(name);
  for (const name of names) {
    if (name !== "fetchPassword" || form.get(name) !== "") settings[name] = FIELDS[name].read(form.get(name));
  }
  return settings;
}

function Text({ name, label, hint, value, attributes = {}, isSet = false }) {
  const id = `setting-${name}`;
  return html`<${Field} id=${id} label=${label} hint=${hint}>
    <input id=${id} name=${name} defaultValue=${value} placeholder=${isSet ? "Set" : ""} aria-describedby=${`${id}-hint`} ...${attributes} />
  <//>`;
}

function Choice({ name, label, value, options }) {
  const id = `setting-${name}`;
  return html`<${Field} id=${id} label=${label}>
    <select id=${id} name=${name}>
      ${Object.entries(options).map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  <//>`;
}
