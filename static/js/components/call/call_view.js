import { contactLabel } from "../../format/call.js";
import { callHref, listHref } from "../../route.js";
import { parseQuery } from "../../search/query.js";
import { takesPlay } from "../../state/play_on_open.js";
import { Playback } from "../../state/playback.js";
import { may } from "../../state/session.js";
import { html, useApp, useAsync, useEffect, useKeys, useMemo, useObservable, useRef, useState } from "../../ui.js";
import { CopyIcon } from "../copying.js";
import { Erase } from "../erase.js";
import { Icon } from "../icon.js";
import { CallBack } from "./call_back.js";
import { CallFacts, Details, FactStrip, Missing, Outcome, VendorData, Warnings } from "./call_facts.js";
import { Clamped } from "./clamped.js";
import { History } from "./history.js";
import { Highlight } from "./highlight.js";
import { Player } from "./player.js";
import { RecordingState, sourcesOf, Unheard } from "./recording_states.js";
import { Transcript } from "./transcript.js";

// Whether an event says that a call was erased.
const ERASING = {
  call_deleted: (data, callId) => data.callId === callId,
  contact_deleted: (data, _, call) => call !== undefined && data.contactId === call.contactId,
  calls_expired: (data, _, call) => call !== undefined && Date.parse(call.startTime) < Date.parse(data.before),
};
const UNANSWERED = new Set(["no-answer", "busy", "failed"]);
const SCROLLED_PX = 96; // how far, until the facts are under the head

/** One call: the row of the list at once, the rest when it is loaded. `startS`: where the recording starts to play. */
export function CallView({ callId, filter, startS }) {
  const { api, feed } = useApp();
  const row = useObservable(feed.calls).rows.get(callId);
  const { value, error, reload } = useAsync((signal) => api.call(callId, { signal }), [callId]);
  const [isErased, setErased] = useState(false);
  // Each event of the call changes it: status, recording and messages arrive one after the other. So does another name of its
  // contact, which another call may bring.
  const { contactId, contactName } = value ?? {};
  useEffect(() => {
    const isRenamed = (data) => data.contactId === contactId && (data.contactName ?? contactName) !== contactName;
    return feed.listen(({ event, data }) => {
      const isGone = ERASING[event]?.(data, callId, value ?? row);
      if (isGone) setErased(true);
      else if (data.callId === callId || isRenamed(data)) reload();
    });
  }, [feed, callId, contactId, contactName]);
  useEffect(() => {
    if (value) feed.calls.learn(value);
  }, [feed, value]);
  const call = value ?? row;

  if (isErased) {
    return html`<${CallPane} title="Call erased" filter=${filter}>
      <section class="call-section"><p role="status">This call was erased for good.</p></section>
    <//>`;
  }
  if (error && !value) return html`<${CallFailed} error=${error} row=${row} reload=${reload} filter=${filter} />`;
  if (!call) return html`<${CallPane} title="Call" filter=${filter}><p class="muted" role="status">Loading…</p><//>`;
  return html`<${CallPane} title=${contactLabel(call)} call=${call} filter=${filter}>
    <${CallFacts} call=${call} />
    ${value && html`<${Warnings} call=${value} />`}
    <${CallContent} call=${call} isLoaded=${value !== null} reload=${reload} search=${filter.search} startS=${startS} />
    ${value && html`<${Missing} missing=${value.missing} />`}
    ${value && html`<${Outcome} outcome=${value.outcome} />`}
    ${value && html`<${Details} call=${value} />`}
    ${value && html`<${VendorData} providerMetadata=${value.providerMetadata} />`}
    ${value && html`<${History} call=${value} />`}
    <footer class="call-section">
      <${Erase}
        what="call"
        consequences="The call goes from this page and from every dashboard, with its recording, transcript and history."
        erase=${() => api.eraseCall(callId)}
      />
    </footer>
  <//>`;
}

function CallPane({ title, call = null, filter, children }) {
  const { title: pageTitle } = useApp();
  const heading = useRef(null);
  useEffect(() => pageTitle.show(title), [title]);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  const article = useRef(null);
  const isScrolled = useIsScrolled(article);
  useKeys({ Escape: () => (location.hash = listHref(filter)) && true });
  return html`<article class="call" ref=${article} data-testid="call" aria-labelledby="call-title">
    <header class="call-head" data-scrolled=${isScrolled ? "" : null}>
      <a class="icon-button" href=${listHref(filter)} aria-label="Back to calls">
        <span class="only-narrow"><${Icon} name="back" /></span>
        <span class="only-wide"><${Icon} name="close" /></span>
      </a>
      <div class="call-name">
        <h2 id="call-title" ref=${heading} tabindex="-1" dir="auto" title=${title}>${title}</h2>
        ${call && isScrolled && html`<${FactStrip} call=${call} />`}
      </div>
      ${call && html`<${CopyIcon} text=${new URL(callHref(call.callId), location.href).href} label="Copy link to this call" icon="link" />`}
      <button class="icon-button" type="button" aria-label="Print call" onClick=${() => print()}>
        <${Icon} name="print" />
      </button>
    </header>
    ${children}
  </article>`;
}

// True while what is below the head of the page has been scrolled under it.
function useIsScrolled(article) {
  const [isScrolled, setScrolled] = useState(false);
  useEffect(() => {
    const read = () => setScrolled(article.current.scrollTop > SCROLLED_PX);
    const pane = article.current;
    pane.addEventListener("scroll", read, { passive: true });
    return () => pane.removeEventListener("scroll", read);
  }, []);
  return isScrolled;
}

// Summary, recording and transcript. The recording and the transcript control each other.
function CallContent({ call, isLoaded, reload, search, startS }) {
  const { api, session } = useApp();
  const mayListen = may(useObservable(session).user, "listen");
  const { callId } = call;
  const recording = call.recordings?.at(-1);
  const id = mayListen ? (recording?.recordingId ?? null) : null;
  const playback = useMemo(() => {
    const urlOf = {
      original: async (signal) => (await api.recording(callId, { signal })).audioUrl,
      copy: async (signal) => (await api.playableRecording(callId, { signal })).playableUrl,
    };
    return id && new Playback((source, signal) => urlOf[source](signal));
  }, [api, callId, id]);
  useEffect(() => {
    if (isLoaded && recording) playback?.setSources(sourcesOf(recording));
  }, [isLoaded, playback, recording?.contentType]);
  useEffect(() => {
    if (!playback || startS === null) return;
    playback.seek(startS);
    if (takesPlay(callId, startS)) playback.playFrom(startS);
  }, [playback, startS]);
  const query = useMemo(() => parseQuery(search), [search]);
  const turns = useMemo(() => call.transcription ?? [], [call.transcription]);
  const [agent, user] = [call.agentName || "Agent", contactLabel(call)];
  const isUnanswered = UNANSWERED.has(call.status);
  const names = useMemo(() => ({ agent, user }), [agent, user]);
  return html`${
      call.summary &&
      html`<section class="call-section call-section-first">
        <h3>Summary</h3>
        <${Clamped}><${Highlight} text=${call.summary} query=${query} /><//>
      </section>`
    }
    ${!recording && html`<${RecordingState} call=${call} reload=${reload} />`}
    ${recording && !mayListen && html`<${Unheard} />`}
    ${playback && html`<${Player} key=${id} playback=${playback} callId=${callId} title=${user} durationS=${recording.duration} turns=${turns} />`}
    ${isUnanswered && html`<${CallBack} call=${call} />`}
    ${!isLoaded && !isUnanswered && html`<${TranscriptLoading} />`}
    ${
      isLoaded &&
      (turns.length > 0 || !isUnanswered) &&
      html`<${Transcript} turns=${turns} names=${names} playback=${playback} search=${search} callId=${callId} />`
    }`;
}

function TranscriptLoading() {
  return html`<section class="call-section" aria-busy="true">
    <h3>Transcript</h3>
    <p class="muted" role="status">Loading…</p>
  </section>`;
}

// With what the list knows of the call.
function CallFailed({ error, row, reload, filter }) {
  const isMissing = error.status === 404;
  return html`<${CallPane} title=${isMissing ? "Call not found" : row ? contactLabel(row) : "Couldn't load this call"} call=${isMissing ? null : row} filter=${filter}>
    ${row && !isMissing && html`<${CallFacts} call=${row} />`}
    <section class="call-section">
      <p class="muted" role="alert">
        ${isMissing ? "The link may be incomplete, or the call may belong to another organization." : error.message}
      </p>
      ${!isMissing && html`<button class="button" type="button" onClick=${reload}>Try again</button>`}
    </section>
  <//>`;
}
