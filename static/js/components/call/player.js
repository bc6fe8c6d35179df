import { copyText, follow } from "../../browser/clipboard.js";
import { clock } from "../../format/time.js";
import { momentHref } from "../../route.js";
import { html, useEffect, useKeys, useLoaded, useParts, useRef, useState, useWatched } from "../../ui.js";
import { silences } from "../../format/waveform.js";
import { Icon } from "../icon.js";
import { Waveform } from "./waveform.js";

const RATES = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const SKIP_S = 5;

/** @param {{playback: import("../../state/playback.js").Playback, callId, lengthS: number, turns}} props `lengthS`: what the server says */
export function Player({ playback, callId, lengthS, turns }) {
  const { api } = useParts();
  const audio = useRef(null);
  useWatched(playback);
  useEffect(() => playback.attach(audio.current), [playback]);
  const { value: drawn } = useLoaded((signal) => api.peaks(callId, { signal }), [callId]);
  const { phase, isPlaying } = playback;
  const length = [playback.lengthS, drawn?.duration, lengthS].find((seconds) => Number.isFinite(seconds) && seconds > 0) ?? 0;
  useEffect(() => {
    playback.silences = drawn?.peaks ? silences(drawn.peaks, length) : [];
  }, [playback, drawn, length]);
  useKeys({
    " ": () => playback.toggle(),
    ArrowLeft: () => playback.skip(-SKIP_S),
    ArrowRight: () => playback.skip(SKIP_S),
  });

  return html`<div class="player">
    <div class="player-card" role="group" aria-label="Recording" data-phase=${phase}>
      <audio ref=${audio} preload="metadata"></audio>
      ${phase !== "failed" && html`<${Waveform} playback=${playback} lengthS=${length} peaks=${drawn?.peaks} turns=${turns} />`}
      <div class="player-bar">
        <button
          class="player-button"
          type="button"
          aria-label=${isPlaying ? "Pause" : "Play"}
          disabled=${phase === "failed"}
          onClick=${() => playback.toggle()}
        >
          <${Icon} name=${isPlaying ? "pause" : "play"} />
        </button>
        ${
          phase === "failed"
            ? html`<${PlayerFailed} retry=${() => playback.retry()} />`
            : html`<span class="player-time">${clock(playback.atS)} <span class="muted">/ ${clock(length)}</span></span>
                <button class="tool" type="button" aria-label="5 seconds back" onClick=${() => playback.skip(-SKIP_S)}>−5</button>
                <button class="tool" type="button" aria-label="5 seconds on" onClick=${() => playback.skip(SKIP_S)}>+5</button>
                <${Speed} playback=${playback} />
                ${drawn?.peaks && html`<${SkipSilence} playback=${playback} />`}
                <span class="player-space"></span>
                <${CopyMoment} playback=${playback} callId=${callId} />
                <${Download} callId=${callId} />`
        }
      </div>
    </div>
  </div>`;
}

function Speed({ playback }) {
  return html`<label class="choice">
    <span class="visually-hidden">Speed</span>
    <select onChange=${(event) => playback.setRate(Number(event.currentTarget.value))}>
      ${RATES.map((rate) => html`<option value=${rate} selected=${rate === playback.rate}>${rate}×</option>`)}
    </select>
  </label>`;
}

function SkipSilence({ playback }) {
  const { skipsSilence } = playback;
  return html`<button
    class="tool"
    type="button"
    aria-pressed=${skipsSilence ? "true" : "false"}
    onClick=${() => playback.setSkipsSilence(!skipsSilence)}
  >
    Skip silence
  </button>`;
}

function CopyMoment({ playback, callId }) {
  const [said, setSaid] = useState(null);
  const copy = async () => {
    const isDone = await copyText(new URL(momentHref(callId, playback.nowS), location.href).href);
    setSaid(isDone ? "Copied" : "Not allowed here");
    setTimeout(() => setSaid(null), 2_500);
  };
  return html`<button
      class="tool player-link"
      type="button"
      title="Copy a link to this moment"
      aria-label=${said ?? `Link to ${clock(playback.atS)}`}
      onClick=${copy}
    >
      <${Icon} name="link" /><span>${said ?? `Link to ${clock(playback.atS)}`}</span>
    </button>
    <span class="visually-hidden" role="status">${said}</span>`;
}

function Download({ callId }) {
  const { api } = useParts();
  const [error, setError] = useState(null);
  // The address expires, so each download asks for one.
  const save = () =>
    api.recording(callId).then(
      ({ audioUrl }) => follow(audioUrl, `call-${callId}`),
      ({ message }) => setError(message),
    );
  return html`<button class="tool" type="button" title="Download the recording" onClick=${save}>
      <${Icon} name="download" /><span class="visually-hidden">Download the recording</span>
    </button>
    ${error && html`<span class="form-error small" role="alert">${error}</span>`}`;
}

function PlayerFailed({ retry }) {
  return html`<p class="player-failed" role="alert">
    The recording cannot be played just now.
    <button class="button" type="button" onClick=${retry}>Try again</button>
  </p>`;
}
