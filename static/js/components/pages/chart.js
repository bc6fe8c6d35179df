import { count } from "../../format/number.js";
import { html, useState } from "../../ui.js";

const HEIGHT = 100;

/**
 * Counts over time as a bar chart, and as a table for screen readers. Plain SVG: it needs no library, uses the page's
 * colours, and prints sharply.
 *
 * @param {{title: string, bars: {label: string, value: number}[], noun: string}} props
 */
export function Chart({ title, bars, noun }) {
  const [at, setAt] = useState(null);
  const peak = Math.max(0, ...bars.map(({ value }) => value));
  const total = bars.reduce((sum, { value }) => sum + value, 0);
  const figures = total === 0 ? "none" : `${count(total)} ${noun} total, peak ${count(peak)}`;
  const pointed = bars[at] ?? null;
  const point = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setAt(Math.max(0, Math.min(bars.length - 1, Math.floor(((event.clientX - left) / width) * bars.length))));
  };
  return html`<figure class="chart">
    <figcaption>
      <h3>${title}</h3>
      <span class="muted small" aria-hidden="true">
        ${pointed ? html`${pointed.label}: <strong>${count(pointed.value)}</strong>` : figures}
      </span>
    </figcaption>
    <svg
      class="chart-bars"
      viewBox=${`0 0 ${bars.length} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label=${`${title}: ${figures}`}
      onPointerMove=${point}
      onPointerLeave=${() => setAt(null)}
    >
      ${bars.map(({ value }, index) => {
        const height = value === 0 ? 0 : Math.max(2, (value / peak) * (HEIGHT - 2));
        return html`<rect
          class="chart-bar"
          data-at=${index === at ? "" : null}
          x=${index + 0.1}
          y=${HEIGHT - height}
          width="0.8"
          height=${height}
        />`;
      })}
    </svg>
    <div class="chart-axis muted small" aria-hidden="true">
      <span>${bars[0]?.label}</span><span>${bars[Math.floor(bars.length / 2)]?.label}</span><span>${bars.at(-1)?.label}</span>
    </div>
    <details class="chart-table">
      <summary class="small">Show as table</summary>
      <table>
        <thead><tr><th scope="col">Time</th><th scope="col">Calls</th></tr></thead>
        <tbody>
          ${bars.map(({ label, value }) => html`<tr><th scope="row">${label}</th><td>${count(value)}</td></tr>`)}
        </tbody>
      </table>
    </details>
  </figure>`;
}
