import { exactTime, shortTime } from "../../format/time.js";
import { html, useApp, useEffect, useRef, useState } from "../../ui.js";
import { Copy } from "./copy.js";

const OVERLAP_HOURS = 24;

/** The API key of a source, which is shown once, and its rotation. */
export function ApiKey({ source, firstKey, reload }) {
  const { api } = useApp();
  const [state, setState] = useState({ apiKey: firstKey, isBusy: false, error: null });
  const heading = useRef(null);
  const { id, name, enabled, keys } = source;
  const { apiKey, isBusy, error } = state;
  useEffect(() => apiKey && heading.current.focus(), [apiKey]);
  const rotate = async () => {
    setState({ ...state, isBusy: true, error: null });
    try {
      setState({ apiKey: await api.rotateSource(id, OVERLAP_HOURS), isBusy: false, error: null });
      reload();
    } catch ({ message }) {
      setState({ ...state, isBusy: false, error: message });
    }
  };
  const ending = keys.find(({ endsAt }) => endsAt !== null);
  return html`<section class=${apiKey ? "new-key" : ""} aria-labelledby="key-title">
    <h3 id="key-title" tabindex="-1" ref=${heading}>API key of <bdi>${name}</bdi></h3>
    <p class="key-line">
      ${
        apiKey
          ? html`<code class="key" data-testid="new-key">${apiKey}</code> <${Copy} text=${apiKey} label="Copy" />`
          : html`<button class="button" type="button" disabled=${isBusy || !enabled} aria-label=${`Rotate key of ${name}`} onClick=${rotate}>
              ${isBusy ? "Rotating…" : "Rotate key"}
            </button>`
      }
    </p>
    <p class="muted small">
      ${apiKey ? "Copy it now: it is not shown again. " : "Rotating gives a new key, and the present one works for another 24 hours. "}
      ${ending && html`The previous key works until <time datetime=${ending.endsAt} title=${exactTime(ending.endsAt)}>${shortTime(ending.endsAt, Date.now())}</time>. `}
      <a href="docs/vendor">How to send calls</a>
    </p>
    ${error && html`<p class="form-error" role="alert">${error}</p>`}
  </section>`;
}
