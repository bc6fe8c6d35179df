import { finder } from "../../format/payload.js";
import { html, useEffect, useMemo, useState } from "../../ui.js";

/**
 * How a payload was read, one row for each note. Pointing at a row or focusing it marks its place in the payload; choosing it
 * goes there.
 *
 * @param {{notes: {field: string | null, path: string | null, note: string}[], lines: object[] | null, body: object}} props
 *     `lines`: the payload's, as `JsonBody` shows them in the element of the ref `body`
 */
export function Trail({ notes, lines, body }) {
  const [at, setAt] = useState(null);
  const ranges = useMemo(() => {
    const find = lines ? finder(lines) : () => null;
    return notes.map(({ path }) => (path ? find(path) : null));
  }, [notes, lines]);
  useEffect(() => mark(body.current, ranges[at] ?? null), [at, ranges]);
  // A place that has been gone to stays marked. Scrolling there moves rows below the pointer, which is no pointing.
  const leave = (focused) => body.current?.contains(focused) || setAt(null); // gone: the page was left
  const point = ({ movementX, movementY }, index) => (movementX || movementY) && setAt(index);
  const go = (range) => {
    const line = linesOf(body.current)[range[0]];
    if (!line) return;
    line.tabIndex = -1;
    line.scrollIntoView({ block: "center" });
    line.focus({ preventScroll: true });
  };
  return html`<ul class="trail" role="list" onPointerLeave=${() => leave(document.activeElement)}>
    ${notes.map((note, index) => {
      const range = ranges[index];
      return html`<li key=${index}>
        <button
          class="trail-note"
          type="button"
          data-now=${index === at ? "" : null}
          disabled=${range === null}
          onPointerMove=${(event) => point(event, index)}
          onFocus=${() => setAt(index)}
          onBlur=${({ relatedTarget }) => leave(relatedTarget)}
          onClick=${() => go(range)}
        >
          ${note.field && html`<span class="trail-field">${note.field}</span>`}
          ${!note.field && note.path && html`<span class="trail-field muted">not used</span>`}
          ${
            note.path &&
            html`<span class="trail-path"><span class="visually-hidden">from </span><span aria-hidden="true">← </span><bdi class="mono">${note.path}</bdi></span>`
          }
          ${note.note && html`<span class="trail-text">${note.note}</span>`}
          ${range && html`<span class="visually-hidden">${lines[range[0]].text}</span>`}
        </button>
      </li>`;
    })}
  </ul>`;
}

const linesOf = (body) => [...(body?.querySelector(".body-text")?.children ?? [])];

// The lines are marked in the document, without rendering them: there may be thousands.
function mark(body, range) {
  const all = linesOf(body);
  for (const line of all) line.removeAttribute("data-marked");
  if (range === null || all.length === 0) return;
  const [first, last] = range;
  for (const line of all.slice(first, last + 1)) line.setAttribute("data-marked", "");
  const box = all[first].parentElement;
  box.scrollTo({ top: all[first].offsetTop - box.offsetTop - box.clientHeight / 3 });
}
