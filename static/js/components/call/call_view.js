import { contactLabel } from "../../format/call.js";
import { Playback } from "../../state/playback.js";
import { listHref } from "../../route.js";
import { html, useEffect, useKeys, useLoaded, useMemo, useParts, useRef, useWatched } from "../../ui.js";
import { queryOf } from "../../search/query.js";
import { CallFacts, Details, VendorData } from "./call_facts.js";
import { Icon } from "../icon.js";
import { Player } from "./player.js";
import { Marked } from "./highlight.js";
import { Transcript } from "./transcript.js";

/** One call: what the list knows at once, the rest as soon as it is loaded. */
export function CallView({ callId, filter, atS }) {
  const { api, desk } = useParts();
  const row = useWatched(desk.calls).rows.get(callId);
  const { value, error, again } = useLoaded((signal) => api.call(callId, { signal }), [callId]);
  // Of a call that has just begun, status and recording come as events of their own: each is a reason to look again.
  useEffect(() => desk.listen(({ data }) => data.callId === callId && again()), [desk, callId]);
  const call = value ?? row;

  if (error && !value) return html`<${CallFailed} error=${error} again=${again} filter=${filter} />`;
  if (!call) return html`<${CallPane} title="Call" filter=${filter}><p class="muted" role="status">Loading…</p><//>`;
  return html`<${CallPane} title=${contactLabel(call)} filter=${filter}>
    <${CallFacts} call=${call} />
    <${Heard} call=${call} isLoaded=${value !== null} search=${filter.search} atS=${atS} />
    ${value && html`<${Details} call=${value} />`}
    ${value && html`<${VendorData} providerMetadata=${value.providerMetadata} />`}
  <//>`;
}

function CallPane({ title, filter, children }) {
  const { title: pageTitle } = useParts();
  const heading = useRef(null);
  useEffect(() => pageTitle.show(title), [title]);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  useKeys({ Escape: () => (location.hash = listHref(filter)) && true });
  return html`<article class="call" data-testid="call" aria-labelledby="call-title">
    <header class="call-head">
      <a class="icon-button" href=${listHref(filter)} aria-label="Back to the calls">
        <span class="only-narrow"><${Icon} name="back" /></span>
        <span class="only-wide"><${Icon} name="close" /></span>
      </a>
      <h2 id="call-title" ref=${heading} tabindex="-1" dir="auto">${title}</h2>
      <button class="icon-button" type="button" aria-label="Print this call" onClick=${() => print()}>
        <${Icon} name="print" />
      </button>
    </header>
    ${children}
  </article>`;
}

// The recording and the words: each leads to the other.
function Heard({ call, isLoaded, search, atS }) {
  const { api } = useParts();
  const { callId } = call;
  const recording = call.recordings?.[0];
  const id = recording?.recordingId ?? null;
  const playback = useMemo(
    () => id && new Playback(async (signal) => (await api.recording(callId, { signal })).audioUrl),
    [api, callId, id],
  );
  useEffect(() => {
    if (playback && atS !== null) playback.seek(atS);
  }, [playback, atS]);
  const query = useMemo(() => queryOf(search), [search]);
  const turns = useMemo(() => call.transcription ?? [], [call.transcription]);
  const [agent, user] = [call.agentName || "Agent", contactLabel(call)];
  const names = useMemo(() => ({ agent, user }), [agent, user]);
  return html`${
      call.summary &&
      html`<section class="call-section call-section-first">
        <h3>Summary</h3>
        <p class="call-summary" dir="auto"><${Marked} text=${call.summary} query=${query} /></p>
      </section>`
    }
    ${playback && html`<${Player} key=${id} playback=${playback} callId=${callId} lengthS=${recording.duration} turns=${turns} />`}
    ${
      isLoaded
        ? html`<${Transcript} turns=${turns} names=${names} playback=${playback} query=${query} callId=${callId} />`
        : html`<section class="call-section" aria-busy="true">
            <h3>Transcript</h3>
            <p class="muted" role="status">Loading…</p>
          </section>`
    }`;
}

function CallFailed({ error, again, filter }) {
  const isMissing = error.status === 404;
  return html`<${CallPane} title=${isMissing ? "No such call" : "This call cannot be shown"} filter=${filter}>
    <p class="muted" role="alert">
      ${isMissing ? "It may belong to another organization, or the address is incomplete." : error.message}
    </p>
    ${!isMissing && html`<button class="button" type="button" onClick=${again}>Try again</button>`}
  <//>`;
}
