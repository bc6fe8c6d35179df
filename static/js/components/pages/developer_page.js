import { serverAddress } from "../../browser/server_address.js";
import { codeSamples } from "../../format/code_samples.js";
import { callHref } from "../../route.js";
import { html, useApp, useAsync, useEffect, useMemo, useRef, useState } from "../../ui.js";
import { Copy } from "./copy.js";
import { EventLog } from "./event_log.js";

const HIDDEN_KEY = "tk_live_…";

/** For developers who connect a calling system: the API key, code samples, a sample call, and a log of events. */
export function Content() {
  const { api, title } = useApp();
  const { value: apiKey, error, reload } = useAsync((signal) => api.apiKey({ signal }), []);
  useEffect(() => title.show("Developer"), []);
  return html`<div class="developer">
    <header class="page-head">
      <h2 class="page-title">Developer</h2>
      <p class="muted small">Send calls with the API. <a href="docs/vendor">Guide</a> · <a href="docs">API reference</a></p>
    </header>
    ${
      error
        ? html`<div class="notice" role="alert">
            <p>${error.message}</p>
            <button class="button" type="button" onClick=${reload}>Try again</button>
          </div>`
        : html`<${ApiKey} apiKey=${apiKey} reload=${reload} />`
    }
    <${EventLog} />
  </div>`;
}

function ApiKey({ apiKey, reload }) {
  const [isShown, setShown] = useState(false);
  return html`<section aria-labelledby="key-title">
      <h3 id="key-title">API key</h3>
      <p class="key-line">
        <code class="key" data-testid="api-key">${isShown && apiKey ? apiKey : HIDDEN_KEY}</code>
        <button class="button" type="button" onClick=${() => setShown(!isShown)}>
          ${isShown ? "Hide" : "Reveal"}
        </button>
        <${Copy} text=${apiKey} label="Copy key" />
        <${Regenerate} reload=${reload} />
      </p>
    </section>
    <${SampleCall} apiKey=${apiKey} />
    <${CodeSamples} apiKey=${apiKey} isShown=${isShown} />`;
}

function Regenerate({ reload }) {
  const { api } = useApp();
  const dialog = useRef(null);
  const [error, setError] = useState(null);
  const regenerate = async () => {
    try {
      await api.regenerateApiKey();
      setError(null);
      reload();
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`<button class="button" type="button" onClick=${() => dialog.current.showModal()}>Regenerate…</button>
    ${error && html`<span class="form-error" role="alert">${error}</span>`}
    <dialog
      class="dialog"
      ref=${dialog}
      aria-labelledby="regenerate-title"
      onClose=${() => dialog.current.returnValue === "yes" && regenerate()}
    >
      <h2 id="regenerate-title">Regenerate API key?</h2>
      <p>The current key stops working immediately. Calls are rejected until your systems use the new key.</p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no">Cancel</button>
        <button class="button button-main" value="yes">Regenerate key</button>
      </form>
    </dialog>`;
}

function SampleCall({ apiKey }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, response: null });
  const post = async () => {
    setState({ isBusy: true, response: null });
    let response;
    try {
      response = await api.ingest(apiKey, await api.sampleCall());
    } catch (error) {
      response = { status: null, body: { error: error.message } };
    }
    setState({ isBusy: false, response });
  };
  const { response, isBusy } = state;
  return html`<section aria-labelledby="try-title">
    <h3 id="try-title">Sample call</h3>
    <p class="key-line">
      <button class="button button-main" type="button" disabled=${!apiKey || isBusy} onClick=${post}>
        ${isBusy ? "Sending…" : "Send a sample call"}
      </button>
      <span role="status">
        ${response && html`<span class=${response.status === 201 ? "" : "form-error"}>${statusText(response.status)}</span> `}
        ${response?.body.callId && html`<a href=${callHref(response.body.callId)}>View call</a>`}
        ${response?.body.error && html`<span>${response.body.error}</span>`}
      </span>
    </p>
    <p class="muted small">Sends a call with a recording and transcript to your account, using your API key. Its events appear below.</p>
  </section>`;
}

function statusText(status) {
  if (status === null) return "No response";
  return status === 201 ? "Created (201)" : `Rejected (${status})`;
}

function CodeSamples({ apiKey, isShown }) {
  const [chosen, setChosen] = useState(0);
  const id = useMemo(() => `sample-${Date.now().toString(36)}`, []);
  const all = codeSamples(serverAddress(), isShown && apiKey ? apiKey : HIDDEN_KEY, id);
  const [, copied] = codeSamples(serverAddress(), apiKey ?? "", id)[chosen];
  return html`<section aria-labelledby="snippets-title">
    <h3 id="snippets-title">Code samples</h3>
    <div class="snippet-head">
      <div class="switch" role="group" aria-label="Language">
        ${all.map(
          ([name], index) => html`<button
            class="tool"
            type="button"
            aria-pressed=${index === chosen ? "true" : "false"}
            onClick=${() => setChosen(index)}
          >
            ${name}
          </button>`,
        )}
      </div>
      <${Copy} key=${chosen} text=${apiKey && copied} label="Copy with key" />
    </div>
    <pre class="snippet" tabindex="0" role="region" aria-label=${`${all[chosen][0]} code`}><code>${all[chosen][1]}</code></pre>
  </section>`;
}
