import { html, useApp, useAsync, useEffect, useRef, useState } from "../../ui.js";
import { count } from "../../format/number.js";
import { Loading } from "../loading.js";
import { Field } from "./field.js";
import { PageFailed } from "./page_failed.js";

const ZONES = Intl.supportedValuesOf?.("timeZone") ?? [];
const MOST_COUNTED = 100_000; // tether_rt/erasure/retention.py
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
    <p class="muted">Everybody in the organization has these settings.</p>
    <${SettingsForm} organization=${value} />
  </div>`;
}

function SettingsForm({ organization }) {
  const { api, session } = useApp();
  // What was typed is kept here, too: a form that is rendered anew shows the values that it is given.
  const [typed, setTyped] = useState(organization);
  const [state, setState] = useState({ isBusy: false, isSaved: false, error: null });
  const stored = useRef(organization.retention);
  const form = useRef(null);
  const dialog = useRef(null);
  const { name, timeZone, retention } = typed;
  const attempt = async (work) => {
    setState({ isBusy: true, isSaved: false, error: null });
    try {
      setState({ isBusy: false, error: null, ...(await work()) });
    } catch ({ message }) {
      setState({ isBusy: false, isSaved: false, error: message });
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const { elements } = form.current;
    const days = (field) => (elements[field].value === "" ? null : elements[field].valueAsNumber);
    const change = {
      name: elements.name.value,
      timeZone: elements.timeZone.value || null,
      retention: { recordingsDays: days("recordingsDays"), callsDays: days("callsDays") },
    };
    setTyped(change);
    return attempt(async () => {
      const goes = await wouldErase(change.retention);
      if (!goes) return save(change);
      dialog.current.returnValue = "no";
      dialog.current.showModal();
      return { goes };
    });
  };
  const wouldErase = async (asked) => {
    if (asked.recordingsDays === stored.current.recordingsDays && asked.callsDays === stored.current.callsDays) return null;
    const goes = await api.retentionPreview(asked);
    return goes.calls > 0 || goes.recordings > 0 ? goes : null;
  };
  const save = async (change) => {
    await api.changeOrganization(change);
    stored.current = change.retention;
    session.check(); // the bar shows the name
    return { isSaved: true };
  };
  const zones = timeZone && !ZONES.includes(timeZone) ? [timeZone, ...ZONES] : ZONES;
  return html`<form class="account-form" ref=${form} onSubmit=${submit}>
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
    <dialog class="dialog" ref=${dialog} aria-labelledby="retention-title" onClose=${() => dialog.current.returnValue === "yes" && attempt(() => save(typed))}>
      <h2 id="retention-title">Erase what is older?</h2>
      <p>${goesSentence(state.goes)} This cannot be undone.</p>
      <div class="dialog-buttons">
        <button class="button" type="button" onClick=${() => dialog.current.close("no")}>Cancel</button>
        <button class="button button-main" type="button" onClick=${() => dialog.current.close("yes")}>Save and erase</button>
      </div>
    </dialog>
  </form>`;
}

function goesSentence({ calls, recordings } = { calls: 0, recordings: 0 }) {
  const some = (number, noun) => `${number >= MOST_COUNTED ? "at least " : ""}${count(number)} ${noun}${number === 1 ? "" : "s"}`;
  const parts = [calls > 0 && some(calls, "call"), recordings > 0 && some(recordings, "recording")].filter(Boolean);
  return `Now ${parts.join(" and ")} would be erased for good, and others as they come of age.`;
}

function Days({ id, label, value, hint }) {
  return html`<${Field} id=${id} label=${label} hint=${hint}>
    <input id=${id} name=${id} type="number" min="1" max="36500" step="1" placeholder="No end" value=${value ?? ""} aria-describedby=${`${id}-hint`} />
  <//>`;
}
