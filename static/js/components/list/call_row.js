import { contactLabel, directionWord, hasRecording, otherNumber, otherPhone } from "../../format/call.js";
import { clock, exactTime, relativeTime, spokenLength } from "../../format/time.js";
import { callHref } from "../../route.js";
import { html, memo, useMemo } from "../../ui.js";
import { Icon } from "../icon.js";
import { Status } from "../call_status.js";

const FRESH_MS = 4_000; // how long an arrival is news: only then does its row glow

export const isFresh = ({ arrivedAtMs }) => arrivedAtMs !== undefined && Date.now() - arrivedAtMs < FRESH_MS;

/**
 * One call of the list. Its content is rendered again only when its row, its clock or its being open changes.
 *
 * @param {{mayGlow: boolean, top: number, place: number, total: number}} props `mayGlow`: when it comes in, it stands out
 */
export function CallRow({ row, filter, nowMs, isOpen, isTabStop, mayGlow, top, place, total }) {
  const glows = useMemo(() => mayGlow && isFresh(row), [row.callId]);
  return html`<li
    class=${glows ? "row row-fresh" : "row"}
    data-call-id=${row.callId}
    aria-posinset=${place}
    aria-setsize=${total}
    style=${{ transform: `translateY(${top}px)` }}
  >
    <${Content} row=${row} filter=${filter} when=${relativeTime(row.startTime, nowMs)} isOpen=${isOpen} isTabStop=${isTabStop} />
  </li>`;
}

const Content = memo(
  ({ row, filter, when, isOpen, isTabStop }) => html`<a
    class="row-link"
    href=${callHref(row.callId, filter)}
    tabindex=${isTabStop ? null : "-1"}
    aria-current=${isOpen ? "true" : null}
  >
    <span class="row-direction" data-direction=${row.direction}>
      <${Icon} name=${row.direction === "inbound" ? "inbound" : "outbound"} />
      <span class="visually-hidden">${directionWord(row)}</span>
    </span>
    <bdi class="row-name">${contactLabel(row)}</bdi>
    <span class="row-sub">
      <span class="row-number" title=${otherNumber(row)}>${otherPhone(row)}</span>
      <bdi class="row-agent">${row.agentName}</bdi>
    </span>
    <span class="row-summary" dir="auto">${row.summary}</span>
    <${Status} status=${row.status} />
    <span class="row-recording">
      ${hasRecording(row) && html`<${Icon} name="recording" /><span class="visually-hidden">Recorded</span>`}
    </span>
    <span class="row-duration">
      ${
        row.duration >= 1 &&
        html`<span aria-hidden="true">${clock(row.duration)}</span>
          <span class="visually-hidden">${spokenLength(row.duration)}</span>`
      }
    </span>
    <time class="row-time" datetime=${row.startTime} title=${exactTime(row.startTime)}>${when}</time>
  </a>`,
);
