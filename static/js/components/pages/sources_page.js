import { relativeTime } from "../../format/time.js";
import { deliveriesHref } from "../../route.js";
import { html, useApp, useAsync, useEffect, useNow, useRef, useState } from "../../ui.js";
import { Loading } from "../loading.js";
import { AdminNav } from "./admin_nav.js";
import { Copy } from "./copy.js";
import { PageFailed } from "./page_failed.js";

const CLOCK_MS = 15_000;
const OVERLAP_HOURS = 24;
const RECORDINGS = { now: "Fetch recordings at once", later: "Fetch recordings later" };

/** The calling systems of the organization and their keys. For admins. */
export function Content() {
  const { api, title } = useApp();
  const { value: sources, error, reload } = useAsync((signal) => api.sources({ signal }), []);
  const [given, setGiven] = useState(null);
  useEffect(() => title.show("Sources"), []);
  const show = (change) => {
    setGiven(change);
    reload();
  };
  if (error && !sources) return html`<${PageFailed} head=${html`<${AdminNav} current="sources" />`} error=${error} reload=${reload} />`;
  if (!sources) return html`<${Loading} />`;
  return html`<div class="deliveries">
    <${AdminNav} current="sources" />
    <p class="muted">
      Each calling system that sends calls has a source with a key of its own. Its calls carry its name, and the key keeps working when people
      leave. <a href="/docs/vendor">How to send calls</a>
    </p>
    ${given && html`<${NewKey} key=${given.key} ...${given} />`}
    <${AddSource} onAdded=${show} />
    ${
      sources.length === 0
        ? html`<p class="muted">No sources yet. Until there are some, calls come with the API keys of users.</p>`
        : html`<ul class="sources" role="list">
            ${sources.map((source) => html`<${Source} key=${source.id} source=${source} onKey=${show} reload=${reload} />`)}
          </ul>`
    }
  </div>`;
}

// A key is shown once: the server keeps only its digest.
function NewKey({ name, apiKey, webhookPath, previous }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const text = apiKey ?? new URL(webhookPath, location.href).href;
  return html`<section class="new-key" aria-labelledby="new-key-title">
    <h3 id="new-key-title" tabindex="-1" ref=${heading}>${apiKey ? "API key" : "Webhook address"} of <bdi>${name}</bdi></h3>
    <p class="key-line">
      <code class="key" data-testid="new-key">${text}</code>
      <${Copy} text=${text} label="Copy" />
    </p>
    <p class="muted small">
      ${apiKey && "Copy it now: it is not shown again."} ${previous && `The previous key works for another ${OVERLAP_HOURS} hours.`}
    </p>
  </section>`;
}

function AddSource({ onAdded }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, error: null });
  const input = useRef(null);
  const add = async (event) => {
    event.preventDefault();
    const name = input.current.value.trim();
    if (name === "") return;
    setState({ isBusy: true, error: null });
    try {
      const { source, apiKey, webhookPath } = await api.addSource({ name, kind: "api" });
      input.current.value = "";
      setState({ isBusy: false, error: null });
      onAdded({ key: apiKey ?? webhookPath, name: source.name, apiKey, webhookPath });
    } catch ({ message }) {
      setState({ isBusy: false, error: message });
    }
  };
  return html`<form class="rename" onSubmit=${add}>
    <label>
      <span class="visually-hidden">Name of the new source</span>
      <input ref=${input} name="source" maxlength="200" required placeholder="Name, such as Retell production" dir="auto" />
    </label>
    <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Adding…" : "Add source"}</button>
    ${state.error && html`<p class="form-error" role="alert">${state.error}</p>`}
  </form>`;
}

function Source({ source, onKey, reload }) {
  const { api } = useApp();
  const nowMs = useNow(CLOCK_MS);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const [chosen, setChosen] = useState({}); // settings that are shown before the server has confirmed them
  const { id, name, kind, enabled, lastSeenAt } = source;
  const settings = { ...source.settings, ...chosen };
  const run = async (work) => {
    setBusy(true);
    setError(null);
    await work().catch(({ message }) => {
      setChosen({});
      setError(message);
    });
    setBusy(false);
  };
  const rotate = () =>
    run(async () => {
      const apiKey = await api.rotateSource(id, OVERLAP_HOURS);
      onKey({ key: apiKey, name, apiKey, previous: true });
    });
  const change = (values) =>
    run(async () => {
      setChosen({ ...chosen, ...values.settings });
      await api.changeSource(id, values);
      reload();
    });
  return html`<li class="source" data-source-id=${id}>
    <div class="source-text">
      <p><bdi class="source-name">${name}</bdi> ${kind !== "api" && html`<span class="muted small">${kind}</span>`}</p>
      <p class="muted small">
        <span class="status" data-verdict=${enabled ? "created" : "ignored"}>${enabled ? "Enabled" : "Disabled"}</span>
        ${lastSeenAt ? ` · last seen ${relativeTime(lastSeenAt, nowMs)}` : " · not seen yet"}
      </p>
    </div>
    <a class="tool" href=${deliveriesHref({ source: id })} aria-label=${`Deliveries of ${name}`}>Deliveries</a>
    ${kind === "api" && html`<button class="button" type="button" disabled=${isBusy || !enabled} aria-label=${`Rotate key of ${name}`} onClick=${rotate}>Rotate key</button>`}
    <button class="button" type="button" disabled=${isBusy} aria-label=${`${enabled ? "Disable" : "Enable"} ${name}`} onClick=${() => change({ enabled: !enabled })}>
      ${enabled ? "Disable" : "Enable"}
    </button>
    <div class="source-settings">
      <label class="choice">
        <span class="visually-hidden">Recordings of ${name}</span>
        <select onChange=${(event) => change({ settings: { recordings: event.currentTarget.value } })}>
          ${Object.entries(RECORDINGS).map(
            ([value, text]) => html`<option value=${value} selected=${value === settings.recordings}>${text}</option>`,
          )}
        </select>
      </label>
      <label class="check small">
        <input
          type="checkbox"
          checked=${settings.historic}
          aria-label=${`Calls of ${name} are from the past`}
          onChange=${(event) => change({ settings: { historic: event.currentTarget.checked } })}
        />
        Calls are from the past
      </label>
    </div>
    ${error && html`<p class="form-error" role="alert">${error}</p>`}
  </li>`;
}
