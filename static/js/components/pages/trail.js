import { linesAt } from "../../format/payload.js";
import { html, useEffect, useRef, useState } from "../../ui.js";

/**
 * How a payload was read, one row for each note. Pointing at a row or focusing it marks its place in the payload; choosing it
 * goes there.
 *
 * @param {{notes: {field: string | null, path: string | null, note: string}[], lines: object[] | null, body: object}} props
 *     `lines`: the payload's, as `JsonBody` shows them in the element of the ref `body`
 */
export function Trail({ notes, lines, body }) {
  const [at, setAt] = useState(null);
  const place = (note) => (note?.path && lines ? linesAt(lines, note.path) : null);
  useEffect(() => mark(body.current, place(notes[at])), [at, notes, lines]);
  const go = (index) => {
    const range = place(notes[index]);
    const line = range && lineOf(body.current, range[0]);
    if (!line) return;
    line.tabIndex = -1;
    line.scrollIntoView({ block: "center" });
    line.focus({ preventScroll: true });
  };
  return html`<ul class="trail" role="list" onPointerLeave=${() => setAt(null)}>
    ${notes.map((note, index) => {
      const range = place(note);
      const isCopied = range !== null && lines[range[0]].path !== null;
      return html`<li key=${index}>
        <button
          class="trail-note"
          type="button"
          data-kind=${note.field ? "field" : "left-out"}
          data-now=${index === at ? "" : null}
          disabled=${range === null}
          onPointerEnter=${() => setAt(index)}
          onFocus=${() => setAt(index)}
          onBlur=${() => setAt(null)}
          onClick=${() => go(index)}
        >
          <span class="trail-field">${note.field ?? html`<span class="muted">not used</span>`}</span>
          ${
            note.path &&
            html`<span class="trail-path"><span class="visually-hidden">from </span><span aria-hidden="true">← </span><bdi class="mono">${note.path}</bdi></span>`
          }
          ${note.note && html`<span class="trail-text">${note.note}</span>`}
          ${isCopied && html`<span class="visually-hidden">${lines[range[0]].text}</span>`}
        </button>
      </li>`;
    })}
  </ul>`;
}

const lineOf = (body, index) => body?.querySelector(`[data-line="${index}"]`);

// The lines are marked in the document, without rendering them: there may be thousands.
function mark(body, range) {
  for (const line of body?.querySelectorAll("[data-marked]") ?? []) line.removeAttribute("data-marked");
  if (range === null || !body) return;
  const [first, last] = range;
  for (let index = first; index <= last; index += 1) lineOf(body, index)?.setAttribute("data-marked", "");
  const box = body.querySelector(".body-text");
  const line = lineOf(body, first);
  if (box && line) box.scrollTo({ top: line.offsetTop - box.offsetTop - box.clientHeight / 3 });
}
