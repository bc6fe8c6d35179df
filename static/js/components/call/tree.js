import { entriesOf, isBranch, kindOf, linked, MAX_DEPTH, MAX_ENTRIES, MAX_TEXT, summaryOf } from "../../format/tree.js";
import { html, useState } from "../../ui.js";

const OPEN_DEPTH = 2; // branches above this depth are open at first
const OPEN_ENTRIES = 12; // … unless they are long

/** A JSON value as nested lists. A closed branch renders nothing, so only what is visible costs time. */
export function Tree({ value, depth = 0 }) {
  const [limit, setLimit] = useState(MAX_ENTRIES);
  const entries = entriesOf(value);
  const shown = entries.slice(0, limit);
  return html`<ul class="tree" role="list">
    ${shown.map(([label, child]) => html`<${Node} key=${label} label=${label} value=${child} depth=${depth} />`)}
    ${
      entries.length > limit &&
      html`<li>
      <button class="button button-small" type="button" onClick=${() => setLimit(limit + 10 * MAX_ENTRIES)}>
        Show more (${entries.length - limit})
      </button>
    </li>`
    }
  </ul>`;
}

function Node({ label, value, depth }) {
  if (isBranch(value) && entriesOf(value).length > 0) return html`<${Branch} label=${label} value=${value} depth=${depth} />`;
  return html`<li class="tree-leaf">
    <bdi class="tree-label">${label}</bdi>
    <${Leaf} value=${value} />
  </li>`;
}

function Branch({ label, value, depth }) {
  const isSmall = entriesOf(value).length <= OPEN_ENTRIES;
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH && isSmall);
  return html`<li class="tree-branch">
    <details open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <bdi class="tree-label">${label}</bdi>
        <span class="tree-hint">${summaryOf(value)}</span>
      </summary>
      ${
        isOpen &&
        (depth + 1 < MAX_DEPTH
          ? html`<${Tree} value=${value} depth=${depth + 1} />`
          : html`<p class="muted">Nested too deeply to show.</p>`)
      }
    </details>
  </li>`;
}

function Leaf({ value }) {
  const kind = kindOf(value);
  if (isBranch(value)) return html`<span class="tree-value tree-nothing">${summaryOf(value)}</span>`;
  if (kind === "null") return html`<span class="tree-value tree-nothing">null</span>`;
  if (kind === "string") return html`<${Text} text=${String(value)} />`;
  return html`<span class="tree-value">${String(value)}</span>`;
}

function Text({ text }) {
  const [isWhole, setWhole] = useState(text.length <= MAX_TEXT);
  if (text === "") return html`<span class="tree-value tree-nothing">empty</span>`;
  return html`<span class="tree-value" dir="auto">
    ${linked(isWhole ? text : `${text.slice(0, MAX_TEXT)}…`).map((piece) =>
      piece.href ? html`<a href=${piece.href} target="_blank" rel="noopener noreferrer">${piece.text}</a>` : piece.text,
    )}
    ${!isWhole && html` <button class="button button-small" type="button" onClick=${() => setWhole(true)}>Show all</button>`}
  </span>`;
}
