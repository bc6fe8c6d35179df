import { count, plural } from "../format/number.js";
import { html, useApp, useObservable, useState } from "../ui.js";

/** Describes the connection: `text` for the bar, `spoken` for screen readers, `title` as the tooltip. */
function describe({ status, position, behind, caughtUp, failures, missed }) {
  const lost = missed === 0 ? "" : ` · ${count(missed)} missed`;
  switch (status) {
    case "live":
      if (caughtUp > 0) {
        return {
          state: "caught-up",
          text: `Caught up on ${count(caughtUp)}${lost}`,
          spoken: `Reconnected and caught up on ${plural(caughtUp, "event")}`,
          title: `Reconnected and received ${plural(caughtUp, "event")}. Nothing is missing.`,
        };
      }
      return {
        state: "live",
        text: `Live${lost}`,
        spoken: "Live",
        title: `Connected. The last event shown is number ${position.seq}; numbers have no gaps.${missedHint(missed)}`,
      };
    case "catching-up":
      return {
        state: "catching-up",
        text: `Catching up on ${count(behind)}…`,
        spoken: "Catching up",
        title: "Reconnected. Loading what you missed.",
      };
    case "reconnecting":
      return {
        state: "reconnecting",
        text: "Reconnecting…",
        spoken: "Reconnecting",
        title: `Connection lost (attempt ${failures}). It reconnects automatically, and no call is lost.`,
      };
    case "ended":
      return { state: "ended", text: "Session ended", spoken: "Session ended", title: "Sign in again." };
    default:
      return { state: "connecting", text: "Connecting…", spoken: "Connecting", title: "Connecting to the server." };
  }
}

const missedHint = (missed) =>
  missed === 0 ? "" : ` ${plural(missed, "event")} had expired on the server, so the list was reloaded. No call is missing from it.`;

function describeLatency(latency) {
  if (latency === null) return "Latency is measured when the next call arrives.";
  const { latestMs, medianMs, errorMs, count: calls } = latency;
  const error = errorMs >= 5 ? ` (±${Math.round(errorMs)} ms)` : "";
  return `Latency from commit to screen: ${Math.round(latestMs)} ms for the latest call, median ${Math.round(medianMs)} ms of the last ${calls}${error}.`;
}

export function ConnectionStatus({ live }) {
  const { clock } = useApp();
  useObservable(live);
  const [latency, setLatency] = useState(null);
  const { state, text, spoken, title } = describe(live);
  const measured = state === "live" ? ` ${describeLatency(latency)}` : "";
  const updateLatency = () => setLatency(clock.latency);
  return html`<div
    class="connection"
    data-testid="connection"
    data-state=${state}
    data-seq=${live.position.seq ?? ""}
    data-missed=${live.missed}
    title=${title + measured}
    onPointerEnter=${updateLatency}
    onFocusIn=${updateLatency}
  >
    <span class="connection-dot" aria-hidden="true"></span>
    <span class="connection-text" aria-hidden="true">${text}</span>
    <span class="visually-hidden" role="status">${spoken}</span>
  </div>`;
}
