// Line icons on a 16 × 16 grid in the colour of the text. An icon is never the only sign of a meaning.

import { html } from "../ui.js";

const PATHS = {
  inbound: ["M12.5 3.5 4 12", "M4 6v6h6"],
  outbound: ["M3.5 12.5 12 4", "M6 4h6v6"],
  recording: ["M2.5 7v2", "M5.25 4.5v7", "M8 2.5v11", "M10.75 5v6", "M13.5 7v2"],
  back: ["M9.5 3.5 5 8l4.5 4.5"],
  close: ["m4 4 8 8", "m12 4-8 8"],
  calls: ["M3 4h10", "M3 8h10", "M3 12h6"],
  analytics: ["M3.5 13V9", "M8 13V3", "M12.5 13V6"],
  code: ["M5.5 4.5 2 8l3.5 3.5", "M10.5 4.5 14 8l-3.5 3.5"],
  inbox: ["M2.5 9.5 4.5 3h7l2 6.5V13h-11z", "M2.5 9.5h3l1 1.5h3l1-1.5h3"],
  refresh: ["M13 8a5 5 0 1 1-1.5-3.5L13 6", "M13 2.8V6H9.8"],
  search: ["M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9z", "m10.5 10.5 3 3"],
  help: ["M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12z", "M6.3 6.3A1.8 1.8 0 1 1 8.9 8c-.6.3-.9.7-.9 1.3", "M8 11.3v.1"],
  filter: ["M2.5 4h11", "M4.5 8h7", "M6.5 12h3"],
  bell: ["M4 11V7.5a4 4 0 0 1 8 0V11l1 1H3z", "M7 14h2"],
  "bell-on": ["M4 11V7.5a4 4 0 0 1 8 0V11l1 1H3z", "M7 14h2", "M2 4.5 3.5 3", "M14 4.5 12.5 3"],
  download: ["M8 2.5v8", "m4.5 7 3.5 3.5L11.5 7", "M3 13.5h10"],
  link: ["M6.5 9.5 9.5 6.5", "M7.5 4.5 9 3a2.8 2.8 0 0 1 4 4l-1.5 1.5", "M8.5 11.5 7 13a2.8 2.8 0 0 1-4-4l1.5-1.5"],
  up: ["m4 10 4-4 4 4"],
  down: ["m4 6 4 4 4-4"],
  print: ["M4.5 6V2.5h7V6", "M4.5 11.5h-2V6h11v5.5h-2", "M4.5 9.5h7v4h-7z"],
  warning: ["M8 2.5 14 13H2z", "M8 6.5v3", "M8 11.2v.1"],
  pencil: ["m3 13 .5-3L11 2.5 13.5 5 6 12.5z"],
  person: ["M8 8a2.75 2.75 0 1 0 0-5.5A2.75 2.75 0 0 0 8 8z", "M2.75 13.5a5.25 5.25 0 0 1 10.5 0"],
  people: ["M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z", "M1.5 13.5a4.5 4.5 0 0 1 9 0", "M10.5 2.8a2.5 2.5 0 0 1 0 4.4", "M12.2 9.6a4.5 4.5 0 0 1 2.3 3.9"],
  settings: ["M2.5 4.5h6", "M11.5 4.5h2", "M2.5 11.5h2", "M7.5 11.5h6", "M10 6a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z", "M6 13a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z"],
  lock: ["M3.5 7h9v6.5h-9z", "M5.5 7V5a2.5 2.5 0 0 1 5 0v2"],
  keyboard: ["M1.5 4.5h13v7h-13z", "M4 7h.1", "M6.7 7h.1", "M9.3 7h.1", "M12 7h.1", "M5 9.3h6"],
  "sign-out": ["M6.5 2.5h-3v11h3", "M6.5 8h7", "m10.5 5 3 3-3 3"],
  copy: ["M5.5 5.5h8v8h-8z", "M10.5 5.5v-3h-8v8h3"],
  check: ["m3 8.5 3.5 3.5L13 4.5"],
  more: ["M3.5 8h.1", "M8 8h.1", "M12.5 8h.1"],
  phone: ["M3 2.5h2.5l1.2 3-1.6 1.2a8 8 0 0 0 4.2 4.2l1.2-1.6 3 1.2V13a1 1 0 0 1-1 1A11 11 0 0 1 2 3.5a1 1 0 0 1 1-1z"],
  play: ["M5 3.2v9.6L12.6 8z"],
  erase: ["M3 4.5h10", "M6.5 4.5v-2h3v2", "m4.2 4.5.8 9h6l.8-9", "M6.7 7v4", "M9.3 7v4"],
  audit: ["M3.5 2.5h9v11h-9z", "M6 5.5h4", "M6 8h4", "M6 10.5h2"],
  pause: ["M5.5 3.5v9", "M10.5 3.5v9"],
};
const SOLID = new Set(["play"]);

export function Icon({ name }) {
  return html`<svg class=${`icon icon-${name} ${SOLID.has(name) ? "icon-solid" : ""}`} viewBox="0 0 16 16" aria-hidden="true">
    ${PATHS[name].map((d) => html`<path d=${d} />`)}
  </svg>`;
}
