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
const SKIP_S = 5;

/** @param {{playback: import("../../state/playback.js").Playback, callId, durationS: number, turns}} props `durationS`: as the server knows it */
export function Player({ playback, callId, durationS, turns }) {
  const { api } = useApp();
  const audio = useRef(null);
  useObservable(playback);
  useEffect(() => playback.attach(audio.current), [playback]);
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
  });

  return html`<div class="player">
    <div class="player-card" role="group" aria-label="Recording" data-phase=${phase}>
      <audio ref=${audio} preload="metadata"></audio>
      ${!isBroken && html`<${Waveform} playback=${playback} durationS=${knownS} peaks=${waveform?.peaks} turns=${turns} />`}
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
        ${phase === "unplayable" && html`<${UnplayableRecording} callId=${callId} />`}
        ${phase === "failed" && html`<${PlayerFailed} callId=${callId} retry=${() => playback.retry()} />`}
        ${
          !isBroken &&
          html`<span class="player-time">${clock(playback.positionS)} <span class="muted">/ ${clock(knownS)}</span></span>
                <button class="tool" type="button" aria-label="Back 5 seconds" onClick=${() => playback.skip(-SKIP_S)}>−5</button>
                <button class="tool" type="button" aria-label="Forward 5 seconds" onClick=${() => playback.skip(SKIP_S)}>+5</button>
                <${Speed} playback=${playback} />
                <${More}>
                  ${waveform?.peaks && html`<${SkipSilence} playback=${playback} />`}
                  <span class="player-space"></span>
                  <${CopyLink} playback=${playback} callId=${callId} />
                  <${SaveRecording} callId=${callId} />
                <//>`
        }
      </div>
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

function PlayerFailed({ callId, retry }) {
  return html`<div class="player-failed">
    <p role="alert">Couldn't load the recording.</p>
    <button class="button" type="button" onClick=${retry}>Try again</button>
    <${SaveRecording} callId=${callId} isLabelled />
  </div>`;
}
