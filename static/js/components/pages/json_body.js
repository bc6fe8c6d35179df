import { html, memo } from "../../ui.js";

/**
 * JSON line by line, with the faults at their places: one child for each line.
 *
 * @param {{lines: object[], wrong: Map<string, string>, label: string}} props `lines`: of `jsonLines`; `wrong`: faults by path
 */
export const JsonBody = memo(
  ({ lines, wrong, label }) => html`<div class="snippet body-text" tabindex="0" role="region" aria-label=${label}>
    ${lines.map(
      ({ depth, text, path }) => html`<div
        class="body-line"
        data-depth=${Math.min(depth, 12)}
        data-path=${path}
        data-wrong=${path && wrong.has(path) ? "" : null}
        tabindex=${path && wrong.has(path) ? "-1" : null}
      >
        ${text}
        ${path && wrong.has(path) && html`<span class="body-fault">${wrong.get(path)}</span>`}
      </div>`,
    )}
  </div>`,
);
