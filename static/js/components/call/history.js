// What of a call was changed after it had arrived, and what was there before.

import { plural } from "../../format/number.js";
import { exactTime, shortTime } from "../../format/time.js";
import { html, useApp, useState } from "../../ui.js";
import { Tree } from "./tree.js";

const TITLE_ID = "history-title";

/** A small mark that leads to the history. */
export function ChangedMark() {
  const show = () => {
    const title = document.getElementById(TITLE_ID);
    title.scrollIntoView({ block: "center" });
    title.focus({ preventScroll: true });
  };
  return html`<button class="button button-small" type="button" title="Show what was changed" onClick=${show}>Changed</button>`;
}

/** The changes, latest first: each field with its value before. */
export function History({ call }) {
  const changes = call.history ?? [];
  if (changes.length === 0) return null;
  const latestFirst = [...changes].sort((a, b) => b.at.localeCompare(a.at));
  return html`<section class="call-section" data-testid="history">
    <h3 id=${TITLE_ID} tabindex="-1">Changes</h3>
    <p class="muted small">${plural(changes.length, "change")} after the call had arrived. The values are those before.</p>
    <ol role="list">
      ${latestFirst.map(
        (change) => html`<${Change} key=${change.number} call=${call} change=${change} />`,
      )}
    </ol>
  </section>`;
}

// A change that is too large to come with its call names its fields in `omitted`, and is loaded when it is wanted.
function Change({ call, change }) {
  const { api } = useApp();
  const [loaded, setLoaded] = useState(null);
  const [error, setError] = useState(null);
  const { number, at, sourceId, omitted } = change;
  const load = () => api.callChange(call.callId, number).then(setLoaded, ({ message }) => setError(message));
  return html`<li class="change">
    <p class="small">
      <time datetime=${at} title=${exactTime(at)}>${shortTime(at, Date.now())}</time>
      ${sourceId === call.sourceId && call.sourceName && html`, by <bdi>${call.sourceName}</bdi>`}
    </p>
    ${
      omitted && !loaded
        ? html`<button class="button button-small" type="button" onClick=${load}>Show ${omitted.join(", ")}</button>`
        : html`<${Tree} value=${(loaded ?? change).changed} />`
    }
    ${error && html`<p class="form-error small" role="alert">${error}</p>`}
  </li>`;
}
