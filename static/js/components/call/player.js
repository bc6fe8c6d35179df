import { followMediaKeys } from "../../browser/media_keys.js";
import { clock } from "../../format/time.js";
import { findSilences } from "../../format/waveform.js";
import { positionHref } from "../../route.js";
import { html, useEffect, useKeys, useAsync, useApp, useDismiss, useRef, useState, useObservable } from "../../ui.js";
import { useCopy } from "../copying.js";
import { Icon } from "../icon.js";
import { UnplayableRecording } from "./recording_states.js";
import { SaveRecording } from "./save_recording.js";
import { Waveform } from "./waveform.js";

const RATES = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const KEY_RATES = [1, 1.25, 1.5, 2, 3]; // of the keys 1 to 5
const SKIP_S = 5;

/** @param {{playback: import("../../state/playback.js").Playback, callId, title: string, durationS: number, turns}} props `durationS`: as the server knows it */
export function Player({ playback, callId, title, durationS, turns }) {
  const { api } = useApp();
  const audio = useRef(null);
  useObservable(playback);
  useEffect(() => playback.attach(audio.current), [playback]);
  useEffect(() => followMediaKeys(playback, title), [playback, title]);
  const { value: waveform } = useAsync((signal) => api.peaks(callId, { signal }), [callId]);
  const { phase, isPlaying } = playback;
  const knownS = [playback.durationS, waveform?.duration, durationS].find((seconds) => Number.isFinite(seconds) && seconds > 0) ?? 0;
  useEffect(() => {
    playback.silences = waveform?.peaks ? findSilences(waveform.peaks, knownS) : [];
  }, [playback, waveform, knownS]);
  const isBroken = phase === "failed" || phase === "unplayable";
  useKeys({
    " ": () => playback.toggle(),
    ArrowLeft: () => playback.skip(-SKIP_S),
    ArrowRight: () => playback.skip(SKIP_S),
    ...Object.fromEntries(KEY_RATES.map((rate, at) => [at + 1, () => playback.setRate(rate)])),
  });

  return html`<div class="player">
    <div class="player-card" role="group" aria-label="Recording" data-phase=${phase}>
      <audio ref=${audio} preload="metadata"></audio>
      ${!isBroken && html`<${Waveform} playback=${playback} durationS=${knownS} waveform=${waveform} turns=${turns} />`}
      <div class="player-bar">
        ${
          !isBroken &&
          html`<button
            class="player-button"
            type="button"
            aria-label=${isPlaying ? "Pause" : "Play"}
            onClick=${() => playback.toggle()}
          >
            <${Icon} name=${isPlaying ? "pause" : "play"} />
          </button>`
        }
        ${phase === "unplayable" && html`<${UnplayableRecording} callId=${callId} message=${playback.message} />`}
        ${phase === "failed" && html`<${PlayerFailed} playback=${playback} callId=${callId} />`}
        ${
          !isBroken &&
          html`<span class="player-time">${clock(playback.positionS)} <span class="muted">/ ${clock(knownS)}</span></span>
                <button class="tool" type="button" aria-label="Back 5 seconds" onClick=${() => playback.skip(-SKIP_S)}>−5</button>
                <button class="tool" type="button" aria-label="Forward 5 seconds" onClick=${() => playback.skip(SKIP_S)}>+5</button>
                <${Speed} playback=${playback} />
                <${More}>
                  <${Volume} playback=${playback} />
                  ${waveform?.peaks && html`<${SkipSilence} playback=${playback} />`}
                  <span class="player-space"></span>
                  <${CopyLink} playback=${playback} callId=${callId} />
                  <${SaveRecording} callId=${callId} />
                <//>`
        }
      </div>
      ${phase === "preparing" && html`<p class="player-note small muted" role="status">Preparing the recording for your browser…</p>`}
    </div>
  </div>`;
}

// The rest of the controls: in the bar, or in a menu where the bar is narrow.
function More({ children }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  useDismiss(root, isOpen, () => setOpen(false));
  return html`<div class="player-more" ref=${root} data-open=${isOpen ? "" : null}>
    <button
      class="tool player-more-button"
      type="button"
      aria-label="More controls"
      aria-expanded=${isOpen ? "true" : "false"}
      onClick=${() => setOpen(!isOpen)}
    >
      <${Icon} name="more" />
    </button>
    <div class="player-extra">${children}</div>
  </div>`;
}

function Speed({ playback }) {
  return html`<label class="choice">
    <span class="visually-hidden">Playback speed</span>
    <select onChange=${(event) => playback.setRate(Number(event.currentTarget.value))}>
      ${RATES.map((rate) => html`<option value=${rate} selected=${rate === playback.rate}>${rate}×</option>`)}
    </select>
  </label>`;
}

function Volume({ playback }) {
  const { volume } = playback;
  return html`<input
    class="player-volume"
    type="range"
    min="0"
    max="1"
    step="0.05"
    value=${volume}
    aria-label="Volume"
    aria-valuetext=${`${Math.round(volume * 100)} %`}
    title=${`Volume ${Math.round(volume * 100)} %`}
    onInput=${(event) => playback.setVolume(event.currentTarget.valueAsNumber)}
  />`;
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

function CopyLink({ playback, callId }) {
  const [result, copy] = useCopy();
  const link = () => new URL(positionHref(callId, playback.exactPositionS), location.href).href;
  useKeys({ c: () => copy(link()) && true });
  return html`<button
      class="tool player-link"
      type="button"
      title="Copy a link to this position"
      aria-label=${result ?? `Copy link at ${clock(playback.positionS)}`}
      onClick=${() => copy(link())}
    >
      <${Icon} name="link" /><span>${result ?? `Copy link at ${clock(playback.positionS)}`}</span>
    </button>
    <span class="visually-hidden" role="status">${result}</span>`;
}

function PlayerFailed({ playback, callId }) {
  return html`<div class="player-failed">
    <p role="alert">Couldn't load the recording. ${playback.message}</p>
    ${playback.mayHelp && html`<button class="button" type="button" onClick=${() => playback.retry()}>Try again</button>`}
    <${SaveRecording} callId=${callId} isLabelled />
  </div>`;
}
