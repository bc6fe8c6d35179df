import { copyText } from "../../browser/clipboard.js";
import { callHref } from "../../route.js";
import { snippets } from "../../format/code_samples.js";
import { html, useEffect, useLoaded, useParts, useRef, useState } from "../../ui.js";
import { Inspector } from "./event_log.js";

const HIDDEN_KEY = "tk_live_…";

/** For who connects a calling system: the key, programs to paste, a call to try, and the events as they come. */
export function Content() {
  const { title } = useParts();
  const { api } = useParts();
  const { value: apiKey, error, again } = useLoaded((signal) => api.apiKey({ signal }), []);
  useEffect(() => title.show("Developer"), []);
  return html`<div class="developer">
    <header class="page-head">
      <h2 class="page-title">Developer</h2>
      <p class="muted small">What the API takes and answers: <a href="/docs">the contract</a>.</p>
    </header>
    ${
      error
        ? html`<div class="notice" role="alert">
            <p>${error.message}</p>
            <button class="button" type="button" onClick=${again}>Try again</button>
          </div>`
        : html`<${Key} apiKey=${apiKey} again=${again} />`
    }
    <${Inspector} />
  </div>`;
}

function Key({ apiKey, again }) {
  const [isShown, setShown] = useState(false);
  return html`<section aria-labelledby="key-title">
      <h3 id="key-title">API key</h3>
      <p class="key-line">
        <code class="key" data-testid="api-key">${isShown && apiKey ? apiKey : HIDDEN_KEY}</code>
        <button class="button" type="button" aria-pressed=${isShown ? "true" : "false"} onClick=${() => setShown(!isShown)}>
          ${isShown ? "Hide" : "Reveal"}
        </button>
        <${Copy} text=${apiKey} label="Copy key" />
        <${Regenerate} again=${again} />
      </p>
    </section>
    <${Try} apiKey=${apiKey} />
    <${Snippets} apiKey=${apiKey} isShown=${isShown} />`;
}

function Copy({ text, label }) {
  const [said, setSaid] = useState(null);
  const copy = async () => {
    setSaid((await copyText(text)) ? "Copied" : "Not allowed here");
    setTimeout(() => setSaid(null), 2_500);
  };
  return html`<button class="button" type="button" disabled=${!text} onClick=${copy}>${said ?? label}</button>
    <span class="visually-hidden" role="status">${said}</span>`;
}

function Regenerate({ again }) {
  const { api } = useParts();
  const dialog = useRef(null);
  const [error, setError] = useState(null);
  const regenerate = async () => {
    try {
      await api.regenerateApiKey();
      setError(null);
      again();
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
      <h2 id="regenerate-title">Make a new key?</h2>
      <p>The present one stops working at once: whatever sends calls with it is refused until it has the new one.</p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no">Keep it</button>
        <button class="button button-main" value="yes">Make a new key</button>
      </form>
    </dialog>`;
}

function Try({ apiKey }) {
  const { api } = useParts();
  const [state, setState] = useState({ isBusy: false, answer: null });
  const post = async () => {
    setState({ isBusy: true, answer: null });
    let answer;
    try {
      answer = await api.ingest(apiKey, await api.sampleCall());
    } catch (error) {
      answer = { status: null, body: { error: error.message } };
    }
    setState({ isBusy: false, answer });
  };
  const { answer, isBusy } = state;
  return html`<section aria-labelledby="try-title">
    <h3 id="try-title">Try it</h3>
    <p class="key-line">
      <button class="button button-main" type="button" disabled=${!apiKey || isBusy} onClick=${post}>
        ${isBusy ? "Posting…" : "Post a sample call"}
      </button>
      <span role="status">
        ${answer && html`<span class=${answer.status === 201 ? "" : "form-error"}>${answer.status ?? "No answer"}</span> `}
        ${answer?.body.callId && html`<a href=${callHref(answer.body.callId)}>Open the call</a>`}
        ${answer?.body.error && html`<span>${answer.body.error}</span>`}
      </span>
    </p>
    <p class="muted small">Posts a spoken call with its recording, with your key, as a calling system does. Watch its events below.</p>
  </section>`;
}

function Snippets({ apiKey, isShown }) {
  const [chosen, setChosen] = useState(0);
  const all = snippets(location.origin, isShown && apiKey ? apiKey : HIDDEN_KEY);
  const [, copied] = snippets(location.origin, apiKey ?? "")[chosen];
  return html`<section aria-labelledby="snippets-title">
    <h3 id="snippets-title">Send a call</h3>
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
    <pre class="snippet" tabindex="0" role="region" aria-label="Program"><code>${all[chosen][1]}</code></pre>
  </section>`;
}
