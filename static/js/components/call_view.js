import { contactLabel, directionWord, hasRecording, otherNumber } from "../call.js";
import { clock, exactTime, phone, shortTime, size, spokenLength } from "../format.js";
import { Playback } from "../playback.js";
import { listHref } from "../route.js";
import { isEmpty } from "../tree.js";
import { html, useEffect, useLoaded, useMemo, useRef, useWatched } from "../ui.js";
import { Icon } from "./icons.js";
import { Player } from "./player.js";
import { Status } from "./status.js";
import { Transcript } from "./transcript.js";
import { Tree } from "./tree.js";

/** One call: what the list knows at once, the rest as soon as it is loaded. */
export function CallView({ desk, api, callId }) {
  const row = useWatched(desk.calls).rows.get(callId);
  // Of a call that has just arrived, status and recording come as events of their own: each is a reason to look again.
  const news = row?.arrivedAtMs === undefined ? "" : `${row.status} ${hasRecording(row)}`;
  const { value, error, again } = useLoaded((signal) => api.call(callId, { signal }), [callId, news]);
  const call = value ?? row;

  if (error && !value) return html`<${CallFailed} error=${error} again=${again} />`;
  if (!call) return html`<${CallPane} title="Call"><p class="muted" role="status">Loading…</p><//>`;
  return html`<${CallPane} title=${contactLabel(call)}>
    <${Facts} call=${call} />
    <${Recording} api=${api} callId=${callId} recording=${call.recordings?.[0]}>
      ${(playback) => html`<${Words} call=${call} isLoaded=${value !== null} playback=${playback} />`}
    <//>
    ${value && html`<${VendorData} providerMetadata=${value.providerMetadata} />`}
  <//>`;
}

function CallPane({ title, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · tether`;
    return () => {
      document.title = "Calls · tether";
    };
  }, [title]);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  useEffect(() => {
    const close = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) location.hash = listHref;
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, []);
  return html`<article class="call" data-testid="call" aria-labelledby="call-title">
    <header class="call-head">
      <a class="icon-button" href=${listHref} aria-label="Back to the calls">
        <span class="only-narrow"><${Icon} name="back" /></span>
        <span class="only-wide"><${Icon} name="close" /></span>
      </a>
      <h2 id="call-title" ref=${heading} tabindex="-1" dir="auto">${title}</h2>
    </header>
    ${children}
  </article>`;
}

function Facts({ call }) {
  const recording = call.recordings?.[0];
  const facts = [
    ["Status", html`<${Status} status=${call.status} />`],
    ["Length", html`<span title=${spokenLength(call.duration)}>${clock(call.duration)}</span>`],
    ["Began", html`<time datetime=${call.startTime} title=${exactTime(call.startTime)}>${shortTime(call.startTime)}</time>`],
    ["Agent", call.agentName && html`<bdi>${call.agentName}</bdi>`],
    ["From", phone(call.from)],
    ["To", phone(call.to)],
    ["Recording", recording?.bytes && `${recording.contentType}, ${size(recording.bytes)}`],
    ["Vendor's id", call.providerCallId && html`<bdi class="mono">${call.providerCallId}</bdi>`],
  ];
  return html`<div class="call-lead">
      <span class="row-direction" data-direction=${call.direction}>
        <${Icon} name=${call.direction === "inbound" ? "inbound" : "outbound"} />
      </span>
      ${directionWord(call)} call ${call.direction === "inbound" ? "from" : "to"} ${phone(otherNumber(call))}
    </div>
    <dl class="facts">
      ${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>`;
}

function Recording({ api, callId, recording, children }) {
  const id = recording?.recordingId ?? null;
  const playback = useMemo(
    () => id && new Playback(async (signal) => (await api.recording(callId, { signal })).audioUrl),
    [api, callId, id],
  );
  return html`${playback && html`<${Player} key=${id} playback=${playback} lengthS=${recording.duration} />`}
  ${children(playback)}`;
}

function Words({ call, isLoaded, playback }) {
  const names = { agent: call.agentName || "Agent", user: contactLabel(call) };
  return html`${
    call.summary &&
    html`<section class="call-section">
      <h3>Summary</h3>
      <p class="call-summary" dir="auto">${call.summary}</p>
    </section>`
  }
    <section class="call-section" aria-busy=${isLoaded ? null : "true"}>
      <h3>Transcript</h3>
      ${
        isLoaded
          ? html`<${Transcript} turns=${call.transcription ?? []} names=${names} playback=${playback} />`
          : html`<p class="muted" role="status">Loading…</p>`
      }
    </section>`;
}

function VendorData({ providerMetadata }) {
  const { metadata, extra } = providerMetadata ?? {};
  const parts = [
    ["Metadata", metadata],
    ["Other fields", extra],
  ].filter(([, value]) => !isEmpty(value));
  return parts.map(
    ([title, value]) => html`<section class="call-section" data-testid=${title === "Metadata" ? "metadata" : "extra"}>
      <h3>${title}</h3>
      <${Tree} value=${value} />
    </section>`,
  );
}

function CallFailed({ error, again }) {
  const isMissing = error.status === 404;
  return html`<${CallPane} title=${isMissing ? "No such call" : "This call cannot be shown"}>
    <p class="muted" role="alert">
      ${isMissing ? "It may belong to another organization, or the address is incomplete." : error.message}
    </p>
    ${!isMissing && html`<button class="button" type="button" onClick=${again}>Try again</button>`}
  <//>`;
}
