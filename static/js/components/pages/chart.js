import { count } from "../../format/time.js";
import { html, useState } from "../../ui.js";

const HEIGHT = 100;

/**
 * Counts over time as bars, with the same as a table for who cannot see them. Drawn here: a chart of sixty bars needs no
 * library, takes the page's own colours, and is sharp on paper.
 *
 * @param {{title: string, bars: {label: string, value: number}[], noun: string}} props
 */
export function Chart({ title, bars, noun }) {
  const [at, setAt] = useState(null);
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const sum = bars.reduce((total, { value }) => total + value, 0);
  const pointed = bars[at] ?? null;
  const point = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setAt(Math.max(0, Math.min(bars.length - 1, Math.floor(((event.clientX - left) / width) * bars.length))));
  };
  return html`<figure class="chart">
    <figcaption>
      <h3>${title}</h3>
      <span class="muted small" aria-hidden="true">
        ${pointed ? html`${pointed.label}: <strong>${count(pointed.value)}</strong>` : `${count(sum)} in all, ${count(most)} at most`}
      </span>
    </figcaption>
    <svg
      class="chart-bars"
      viewBox=${`0 0 ${bars.length} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label=${`${title}: ${count(sum)} ${noun} in all, ${count(most)} at most`}
      onPointerMove=${point}
      onPointerLeave=${() => setAt(null)}
    >
      ${bars.map(({ value }, index) => {
        const height = value === 0 ? 0 : Math.max(2, (value / most) * (HEIGHT - 2));
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
      <summary class="small">As a table</summary>
      <table>
        <thead><tr><th scope="col">When</th><th scope="col">Calls</th></tr></thead>
        <tbody>
          ${bars.map(({ label, value }) => html`<tr><th scope="row">${label}</th><td>${count(value)}</td></tr>`)}
        </tbody>
      </table>
    </details>
  </figure>`;
}
