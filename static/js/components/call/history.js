// What of a call was changed after it had arrived, and what was there before.

import { plural } from "../../format/number.js";
import { exactTime, shortTime } from "../../format/time.js";
import { html } from "../../ui.js";
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
        ({ at, sourceId, changed }) => html`<li class="change" key=${at}>
          <p class="small">
            <time datetime=${at} title=${exactTime(at)}>${shortTime(at, Date.now())}</time>
            ${sourceId === call.sourceId && call.sourceName && html`, by <bdi>${call.sourceName}</bdi>`}
          </p>
          <${Tree} value=${changed} />
        </li>`,
      )}
    </ol>
  </section>`;
}
