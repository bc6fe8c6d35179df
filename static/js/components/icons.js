// Line icons on a 16 × 16 grid, drawn in the colour of the text around them. They never stand alone for a meaning.

import { html } from "../ui.js";

const PATHS = {
  inbound: ["M12.5 3.5 4 12", "M4 6v6h6"],
  outbound: ["M3.5 12.5 12 4", "M6 4h6v6"],
  recording: ["M2.5 7v2", "M5.25 4.5v7", "M8 2.5v11", "M10.75 5v6", "M13.5 7v2"],
  back: ["M9.5 3.5 5 8l4.5 4.5"],
  close: ["m4 4 8 8", "m12 4-8 8"],
  play: ["M5 3.2v9.6L12.6 8z"],
  pause: ["M5.5 3.5v9", "M10.5 3.5v9"],
};
const SOLID = new Set(["play"]);

export function Icon({ name }) {
  return html`<svg class=${`icon ${SOLID.has(name) ? "icon-solid" : ""}`} viewBox="0 0 16 16" aria-hidden="true">
    ${PATHS[name].map((d) => html`<path d=${d} />`)}
  </svg>`;
}
