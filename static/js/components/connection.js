import { html, useWatched } from "../ui.js";

const number = new Intl.NumberFormat("en");

/** What the connection is doing, in words: short for the bar, long for the title. */
export function describeConnection({ status, position, behind, caughtUp, failures }) {
  const seq = position.seq === null ? "" : ` · seq ${position.seq}`;
  switch (status) {
    case "live":
      if (caughtUp > 0) {
        return {
          state: "caught-up",
          text: `Caught up on ${number.format(caughtUp)}${seq}`,
          spoken: `Connected again, caught up on ${caughtUp} events`,
          title: `Connected again; ${number.format(caughtUp)} events came in meanwhile and none is missing.`,
        };
      }
      return {
        state: "live",
        text: `Live${seq}`,
        spoken: "Live",
        title: `Connected. Events are numbered without gaps; ${position.seq} is the last one shown here.`,
      };
    case "catching-up":
      return {
        state: "catching-up",
        text: `Catching up on ${number.format(behind)}…`,
        spoken: "Catching up",
        title: "Connected again; fetching what came in meanwhile.",
      };
    case "reconnecting":
      return {
        state: "reconnecting",
        text: `Reconnecting…${seq}`,
        spoken: "Reconnecting",
        title: `The connection was lost (attempt ${failures}). It resumes by itself, and nothing will be missing.`,
      };
    case "ended":
      return { state: "ended", text: "Session ended", spoken: "Session ended", title: "Sign in again." };
    default:
      return { state: "connecting", text: "Connecting…", spoken: "Connecting", title: "Opening the live connection." };
  }
}

export function Connection({ live }) {
  useWatched(live);
  const { state, text, spoken, title } = describeConnection(live);
  return html`<div
    class="connection"
    data-testid="connection"
    data-state=${state}
    data-seq=${live.position.seq ?? ""}
    title=${title}
  >
    <span class="connection-dot" aria-hidden="true"></span>
    <span class="connection-text">${text}</span>
    <span class="visually-hidden" role="status">${spoken}</span>
  </div>`;
}
