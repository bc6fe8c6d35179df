import { downloadUrl } from "../../browser/download.js";
import { html, useApp, useState } from "../../ui.js";
import { Icon } from "../icon.js";

/** Saves the recording of a call as a file. `isLabelled`: the words are shown, not only the icon. */
export function SaveRecording({ callId, isLabelled = false }) {
  const { api } = useApp();
  const [error, setError] = useState(null);
  // URLs expire, so each download requests a new one.
  const save = () =>
    api.recordingToSave(callId).then(
      ({ audioUrl }) => downloadUrl(audioUrl, `call-${callId}`),
      ({ message }) => setError(message),
    );
  return html`<button class=${isLabelled ? "button button-icon" : "tool"} type="button" title="Download recording" aria-label="Download recording" onClick=${save}>
      <${Icon} name="download" /><span>Download${isLabelled && " recording"}</span>
    </button>
    ${error && html`<span class="form-error small" role="alert">${error}</span>`}`;
}
