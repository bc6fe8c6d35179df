import { callGist, directionLabel, hasRecording, otherNumber, rowLabels, rowWeight } from "../../format/call.js";
import { age, clock, exactTime, isAhead, spokenDuration, timeAhead, timeOfDay } from "../../format/time.js";
import { callHref } from "../../route.js";
import { html, memo, useMemo } from "../../ui.js";
import { Icon } from "../icon.js";
import { CallStatus } from "../call_status.js";
import { HitLine } from "./hit_line.js";

const NEW_MS = 4_000; // how long a call that has arrived counts as new

export const isNew = ({ shownAtMs }) => shownAtMs !== undefined && Date.now() - shownAtMs < NEW_MS;

/**
 * One call of the list. Its content renders again only if its row, its relative time or its selection changes.
 *
 * @param {object} props
 * @param {boolean} props.mayGlow whether a new row is highlighted
 * @param {number} props.top position in pixels
 * @param {number} props.place position in the list, from 1
 * @param {number} props.total rows in the list; -1 if unknown
 */
export function CallRow({ row, filter, nowMs, isOpen, isTabStop, mayGlow, top, place, total }) {
  const glows = useMemo(() => mayGlow && isNew(row), [row.callId]);
  return html`<li
    class=${glows ? "row row-new" : "row"}
    data-call-id=${row.callId}
    aria-posinset=${place}
    aria-setsize=${total}
    style=${{ transform: `translateY(${top}px)` }}
  >
    <${Content} row=${row} filter=${filter} ...${whenOf(row, nowMs)} isOpen=${isOpen} isTabStop=${isTabStop} />
    <${HitLine} row=${row} filter=${filter} isTabStop=${isTabStop} />
  </li>`;
}

// When a call was: the time of day, and how long ago. A start in the future is a mistake of its source: how far ahead.
function whenOf(row, nowMs) {
  const start = row.statedStart ?? row.startTime;
  return isAhead(start, nowMs) ? { time: timeAhead(start, nowMs), ago: "" } : { time: timeOfDay(start), ago: age(start, nowMs) };
}

// What else is known of the call, each as an icon with its meaning as tooltip and as hidden text.
function Marks({ row }) {
  const marks = [
    (row.hasWarnings || row.statedStart) && ["warning", "Has warnings"],
    row.recordingStatus === "failed" && ["warning", "Recording failed"],
    row.recordingStatus === "pending" && ["recording", "Recording on its way"],
    hasRecording(row) && ["recording", "Recorded"],
  ];
  return marks.filter(Boolean).map(
    ([icon, text]) => html`<span class="row-mark" data-mark=${text} title=${text}>
      <${Icon} name=${icon} /><span class="visually-hidden">${text}</span>
    </span>`,
  );
}

const Content = memo(({ row, filter, time, ago, isOpen, isTabStop }) => {
  const start = row.statedStart ?? row.startTime;
  const { label, sub } = rowLabels(row);
  return html`<a
    class="row-link"
    href=${callHref(row.callId, filter)}
    tabindex=${isTabStop ? null : "-1"}
    aria-current=${isOpen ? "true" : null}
    data-weight=${rowWeight(row)}
  >
    <span class="row-direction">
      <${Icon} name=${row.direction === "inbound" ? "inbound" : "outbound"} />
      <span class="visually-hidden">${directionLabel(row)}</span>
    </span>
    <span class="row-line">
      <bdi class="row-name">${label}</bdi>
      <bdi class="row-number" title=${otherNumber(row)}>${sub}</bdi>
      <time class="row-time" datetime=${start} title=${exactTime(start)}>${time}</time>
      <span class="row-age">${ago}</span>
    </span>
    <span class="row-line">
      <span class="row-gist"><${CallStatus} status=${row.status} isQuiet=${true} /> <bdi>${callGist(row)}</bdi></span>
      <bdi class="row-agent">${row.agentName}</bdi>
      <span class="row-marks"><${Marks} row=${row} /></span>
      <span class="row-duration">
        ${
          row.duration >= 1 &&
          html`<span aria-hidden="true">${clock(row.duration)}</span>
            <span class="visually-hidden">${spokenDuration(row.duration)}</span>`
        }
      </span>
    </span>
  </a>`;
});
