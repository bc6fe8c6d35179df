// In place of the player: a recording that is on its way, that could not be fetched, or that this browser cannot play.
// And what the player may play.

import { canPlay } from "../../browser/audio_support.js";
import { plural } from "../../format/number.js";
import { may } from "../../state/session.js";
import { html, useApp, useObservable, useState } from "../../ui.js";
import { SaveRecording } from "./save_recording.js";

/** The sources of a `Playback`: the copy first where this browser, or any, is known to be unable to play the original. */
export function sourcesOf({ playable, contentType }) {
  if (!canPlay(contentType)) return ["copy"];
  if (playable === false) return ["copy", "original"];
  return contentType === "audio/mpeg" ? ["original"] : ["original", "copy"]; // a copy is MP3 as well
}

/** Says which of these states a call's recording is in. */
export function RecordingState({ call, reload }) {
  if (call.recordingStatus === "pending") return html`<${Card}><${Pending} /><//>`;
  if (call.recordingStatus === "failed") return html`<${Card}><${Failed} call=${call} reload=${reload} /><//>`;
  if (call.recordingDeleted) {
    const { afterDays } = call.recordingDeleted;
    return html`<${Card}><p class="muted">The recording was deleted${afterDays ? ` after ${plural(afterDays, "day")}` : ""}.</p><//>`;
  }
  return null;
}

function Card({ children }) {
  return html`<div class="player">
    <div class="player-card" role="group" aria-label="Recording">${children}</div>
  </div>`;
}

/** For who may read alone. */
export function Unheard() {
  return html`<${Card}><p class="muted">This call has a recording, to which your role may not listen.</p><//>`;
}

function Pending() {
  return html`<p class="player-pending muted" role="status">
    <span class="pending-bars" aria-hidden="true"><i /><i /><i /><i /><i /></span>
    The recording is on its way.
  </p>`;
}

function Failed({ call, reload }) {
  const { api, session } = useApp();
  const mayRetry = may(useObservable(session).user, "retry_recordings");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const retry = async () => {
    setBusy(true);
    setError(null);
    try {
      await api.retryRecording(call.callId);
      reload();
    } catch (failure) {
      setError(failure.message);
    }
    setBusy(false);
  };
  return html`<div class="player-failed">
    <div>
      <p><strong>There is no recording yet.</strong></p>
      <p class="muted">${call.recordingError?.error ?? "It could not be fetched."}</p>
      ${error && html`<p class="form-error" role="alert">${error}</p>`}
    </div>
    ${mayRetry && html`<button class="button" type="button" disabled=${isBusy} onClick=${retry}>${isBusy ? "Trying…" : "Try again"}</button>`}
  </div>`;
}

/** @param {{callId: string, message: string | null}} props `message`: the server's sentence, if it said why */
export function UnplayableRecording({ callId, message }) {
  return html`<div class="player-failed">
    <p role="alert">
      ${message ?? "This browser can't play the recording. Download it, and open it in a media player."}
    </p>
    <${SaveRecording} callId=${callId} isLabelled />
  </div>`;
}
