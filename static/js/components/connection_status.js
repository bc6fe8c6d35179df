import { count, plural } from "../format/time.js";
import { html, useParts, useState, useWatched } from "../ui.js";

/** What the connection is doing, in words: short for the bar, long for the title. */
export function describeConnection({ status, position, behind, caughtUp, failures, missed }) {
  const seq = position.seq === null ? "" : ` · seq ${position.seq}`;
  switch (status) {
    case "live":
      if (caughtUp > 0) {
        return {
          state: "caught-up",
          text: `Caught up on ${count(caughtUp)}${seq} · ${count(missed)} missed`,
          spoken: `Connected again, caught up on ${caughtUp} events`,
          title: `Connected again; ${plural(caughtUp, "event")} came in meanwhile and none is missing.`,
        };
      }
      return {
        state: "live",
        text: `Live${seq} · ${count(missed)} missed`,
        spoken: "Live",
        title: `Connected. Events are numbered without gaps; ${position.seq} is the last one shown here.${loaded(missed)}`,
      };
    case "catching-up":
      return {
        state: "catching-up",
        text: `Catching up on ${count(behind)}…`,
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

const loaded = (missed) =>
  missed === 0 ? "" : ` ${plural(missed, "event")} could no longer be had one by one: the calls were loaded afresh instead.`;

function describeLatency(latency) {
  if (latency === null) return "How long a call takes from commit to screen is measured with the next one.";
  const { latestMs, medianMs, exactToMs, count: calls } = latency;
  const exact = exactToMs >= 5 ? `, give or take ${Math.round(exactToMs)} ms, as exactly as the clocks can be compared` : "";
  return `From commit to screen: ${Math.round(latestMs)} ms for the latest call, ${Math.round(medianMs)} ms in the middle of the last ${calls}${exact}.`;
}

export function Connection({ live }) {
  const { clock } = useParts();
  useWatched(live);
  const [latency, setLatency] = useState(null);
  const { state, text, spoken, title } = describeConnection(live);
  const measured = state === "live" ? ` ${describeLatency(latency)}` : "";
  const look = () => setLatency(clock.latency);
  return html`<div
    class="connection"
    data-testid="connection"
    data-state=${state}
    data-seq=${live.position.seq ?? ""}
    title=${title + measured}
    onPointerEnter=${look}
    onFocusIn=${look}
  >
    <span class="connection-dot" aria-hidden="true"></span>
    <span class="connection-text" aria-hidden="true">${text}</span>
    <span class="visually-hidden" role="status">${spoken}</span>
  </div>`;
}
