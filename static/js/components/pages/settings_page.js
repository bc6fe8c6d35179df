import { html, useApp, useAsync, useEffect, useRef, useState } from "../../ui.js";
import { Loading } from "../loading.js";
import { Field } from "./field.js";
import { PageFailed } from "./page_failed.js";

const ZONES = Intl.supportedValuesOf?.("timeZone") ?? [];
const HEAD = html`<h2 class="page-title">Settings</h2>`;

/** The settings of the organization. For admins. */
export function Content() {
  const { api, title } = useApp();
  const { value, error, reload } = useAsync((signal) => api.organization({ signal }), []);
  useEffect(() => title.show("Settings"), []);
  if (error && !value) return html`<${PageFailed} head=${HEAD} error=${error} reload=${reload} />`;
  if (!value) return html`<${Loading} />`;
  return html`<div class="account-page">
    ${HEAD}
    <p class="muted">They hold for everybody in the organization.</p>
    <${SettingsForm} organization=${value} />
  </div>`;
}

function SettingsForm({ organization }) {
  const { api, session } = useApp();
  const { name, timeZone, retention } = organization;
  const [state, setState] = useState({ isBusy: false, isSaved: false, error: null });
  const form = useRef(null);
  const save = async (event) => {
    event.preventDefault();
    const { elements } = form.current;
    const days = (field) => (elements[field].value === "" ? null : elements[field].valueAsNumber);
    setState({ isBusy: true, isSaved: false, error: null });
    try {
      await api.changeOrganization({
        name: elements.name.value,
        timeZone: elements.timeZone.value || null,
        retention: { recordingsDays: days("recordingsDays"), callsDays: days("callsDays") },
      });
      setState({ isBusy: false, isSaved: true, error: null });
      session.check(); // the bar shows the name
    } catch ({ message }) {
      setState({ isBusy: false, isSaved: false, error: message });
    }
  };
  const zones = timeZone && !ZONES.includes(timeZone) ? [timeZone, ...ZONES] : ZONES;
  return html`<form class="account-form" ref=${form} onSubmit=${save}>
    <${Field} id="name" label="Name" hint="Everybody sees it in the bar.">
      <input id="name" name="name" value=${name} maxlength="200" required dir="auto" aria-describedby="name-hint" />
    <//>
    <${Field} id="timeZone" label="Time zone of figures" hint="The days and hours that figures count by.">
      <select id="timeZone" name="timeZone" aria-describedby="timeZone-hint">
        <option value="" selected=${timeZone === null}>That of each person's device</option>
        ${["UTC", ...zones].map((zone) => html`<option value=${zone} selected=${zone === timeZone}>${zone.replaceAll("_", " ")}</option>`)}
      </select>
    <//>
    <fieldset class="account-set">
      <legend>Retention</legend>
      <p class="muted small">What is older is erased for good. Leave a field empty to keep everything.</p>
      <${Days} id="recordingsDays" label="Recordings, in days" value=${retention.recordingsDays} hint="The call and its transcript stay." />
      <${Days} id="callsDays" label="Calls, in days" value=${retention.callsDays} hint="With their recordings and transcripts." />
    </fieldset>
    <p class="form-error" role="alert">${state.error}</p>
    <p class="account-save">
      <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Saving…" : "Save settings"}</button>
      <span role="status">${state.isSaved && "Saved"}</span>
    </p>
  </form>`;
}

function Days({ id, label, value, hint }) {
  return html`<${Field} id=${id} label=${label} hint=${hint}>
    <input id=${id} name=${id} type="number" min="1" max="36500" step="1" placeholder="For ever" value=${value ?? ""} aria-describedby=${`${id}-hint`} />
  <//>`;
}
