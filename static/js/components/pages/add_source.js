import { serverAddress } from "../../browser/server_address.js";
import { firstSettings, kindName, VENDORS } from "../../format/vendors.js";
import { html, useApp, useEffect, useRef, useState } from "../../ui.js";
import { Field } from "./field.js";
import { Words } from "./words.js";

const API = { name: "Your own system", brings: "It sends calls to the API with a key, as the guide for vendors describes." };
const KINDS = { ...VENDORS, api: API };

/** Chooses the vendor and the name of a new source. `onAdded` gets what the server answered. */
export function AddSource({ onAdded }) {
  const { api, title } = useApp();
  const [kind, setKind] = useState(null);
  const [name, setName] = useState(null); // null: named after the vendor
  const [state, setState] = useState({ isBusy: false, error: null });
  const heading = useRef(null);
  useEffect(() => title.show("Add a source"), []);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  const shownName = name ?? (kind === null || kind === "api" ? "" : kindName(kind));
  const add = async (event) => {
    event.preventDefault();
    if (kind === null || shownName.trim() === "") return;
    setState({ isBusy: true, error: null });
    try {
      onAdded(await api.addSource({ name: shownName.trim(), kind, settings: firstSettings(kind, serverAddress()) }));
    } catch ({ message }) {
      setState({ isBusy: false, error: message });
    }
  };
  return html`<form class="add-source" onSubmit=${add}>
    <h2 class="page-title" tabindex="-1" ref=${heading}>Add a source</h2>
    <fieldset class="vendors">
      <legend>Where do the calls come from?</legend>
      ${Object.entries(KINDS).map(
        ([value, { name: vendor, brings }]) => html`<label class="vendor" data-chosen=${value === kind ? "" : null}>
          <input
            type="radio"
            name="kind"
            value=${value}
            checked=${value === kind}
            required
            aria-labelledby=${`vendor-${value}`}
            aria-describedby=${`brings-${value}`}
            onChange=${() => setKind(value)}
          />
          <span class="vendor-name" id=${`vendor-${value}`}>${vendor}</span>
          <span class="muted small" id=${`brings-${value}`}><${Words} text=${brings} /></span>
        </label>`,
      )}
    </fieldset>
    <${Field} id="source-name" label="Name" hint="Its calls carry this name, such as “Retell, front desk”.">
      <input
        id="source-name"
        aria-describedby="source-name-hint"
        value=${shownName}
        maxlength="200"
        required
        dir="auto"
        onInput=${(event) => setName(event.currentTarget.value)}
      />
    <//>
    <p>
      <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Adding…" : "Add source"}</button>
    </p>
    ${state.error && html`<p class="form-error" role="alert">${state.error}</p>`}
  </form>`;
}
