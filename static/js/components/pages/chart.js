import { scale } from "../../format/figures.js";
import { count, plural } from "../../format/number.js";
import { html, useState } from "../../ui.js";

const MAX_LABELS = 6; // along the axis; narrow screens show every other one

/**
 * Counts of calls as a bar chart, or as a table. Each bar, and each row of the table, is a link to its calls. Plain SVG: it
 * needs no library, uses the page's colours, and prints sharply. The bars are left out of the tab order, the table is in it.
 *
 * @param {{title: string, bars: {label: string, title?: string, value: number, href: string}[]}} props
 */
export function Chart({ title, bars }) {
  const [at, setAt] = useState(null);
  const [isTable, setTable] = useState(false);
  const total = bars.reduce((sum, { value }) => sum + value, 0);
  const peak = Math.max(0, ...bars.map(({ value }) => value));
  const pointed = bars[at] ?? null;
  const summary = total === 0 ? "none" : `${plural(total, "call")}, peak ${count(peak)}`;
  return html`<figure class="chart">
    <figcaption>
      <h3>${title}</h3>
      <button class="tool" type="button" aria-pressed=${isTable ? "true" : "false"} aria-label=${`${title}: show as table`} onClick=${() => setTable(!isTable)}>
        Table
      </button>
      <p class="muted small">${pointed ? html`${pointed.title ?? pointed.label}: <strong>${plural(pointed.value, "call")}</strong>` : summary}</p>
    </figcaption>
    ${isTable ? html`<${Table} title=${title} bars=${bars} />` : html`<${Bars} bars=${bars} peak=${peak} at=${at} setAt=${setAt} />`}
  </figure>`;
}

function Bars({ bars, peak, at, setAt }) {
  const lines = scale(peak);
  const top = lines.at(-1);
  const percentOf = (value) => (value / top) * 100;
  const every = Math.ceil(bars.length / MAX_LABELS);
  return html`<div class="chart-plot" aria-hidden="true">
    <div class="chart-scale muted small">
      ${lines.map((line) => html`<span style=${{ bottom: `${percentOf(line)}%` }}>${count(line)}</span>`)}
    </div>
    <svg class="chart-bars" viewBox=${`0 0 ${bars.length} 100`} preserveAspectRatio="none" onPointerLeave=${() => setAt(null)}>
      ${lines.map((line) => html`<line class="chart-line" x1="0" x2=${bars.length} y1=${100 - percentOf(line)} y2=${100 - percentOf(line)} />`)}
      ${bars.map(
        ({ value, href }, index) => html`<a href=${href} tabindex="-1" onPointerEnter=${() => setAt(index)}>
          <rect class="chart-slot" x=${index} y="0" width="1" height="100" />
          <rect
            class="chart-bar"
            data-at=${index === at ? "" : null}
            x=${index + 0.1}
            y=${100 - (value && Math.max(1.5, percentOf(value)))}
            width="0.8"
            height=${value && Math.max(1.5, percentOf(value))}
          />
        </a>`,
      )}
    </svg>
    <div class="chart-axis muted small">
      ${bars.map(({ label }, index) => index % every === 0 && html`<span style=${{ left: `${((index + 0.5) / bars.length) * 100}%` }}>${label}</span>`)}
    </div>
  </div>`;
}

function Table({ title, bars }) {
  return html`<div class="chart-table" tabindex="0" role="region" aria-label=${title}>
    <table>
      <thead><tr><th scope="col">Time</th><th scope="col">Calls</th></tr></thead>
      <tbody>
        ${bars.map(({ label, title: long, value, href }) => html`<tr><th scope="row"><a href=${href}>${long ?? label}</a></th><td>${count(value)}</td></tr>`)}
      </tbody>
    </table>
  </div>`;
}
