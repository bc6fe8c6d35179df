import { clock, spokenLength } from "../format.js";
import { html, useEffect, useRef, useWatched } from "../ui.js";
import { Icon } from "./icons.js";

const RATES = [0.75, 1, 1.25, 1.5, 2];

/** @param {{playback: import("../playback.js").Playback, lengthS: number}} props `lengthS`: what the server says */
export function Player({ playback, lengthS }) {
  const audio = useRef(null);
  useWatched(playback);
  useEffect(() => playback.attach(audio.current), [playback]);

  const length = Number.isFinite(playback.lengthS) ? playback.lengthS : lengthS;
  const { phase, isPlaying } = playback;

  return html`<div class="player">
    <div class="player-bar" role="group" aria-label="Recording" data-phase=${phase}>
      <audio ref=${audio} preload="metadata"></audio>
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
          : html`<${Position} playback=${playback} lengthS=${length} /> <${Speed} playback=${playback} />`
      }
    </div>
  </div>`;
}

function Position({ playback, lengthS }) {
  const hasLength = Number.isFinite(lengthS) && lengthS > 0;
  const atPercent = hasLength ? Math.min(100, (playback.atS / lengthS) * 100) : 0;
  return html`<span class="player-time">${clock(playback.atS)}</span>
    <input
      class="player-seek"
      type="range"
      min="0"
      max=${hasLength ? lengthS : 0}
      step="0.1"
      value=${playback.atS}
      style=${{ "--at": `${atPercent}%` }}
      aria-label="Position"
      aria-valuetext=${`${spokenLength(playback.atS)} of ${spokenLength(lengthS)}`}
      onInput=${(event) => playback.seek(event.currentTarget.valueAsNumber)}
    />
    <span class="player-time">${clock(lengthS)}</span>`;
}

function Speed({ playback }) {
  return html`<label class="player-rate">
    <span class="visually-hidden">Speed</span>
    <select onChange=${(event) => playback.setRate(Number(event.currentTarget.value))}>
      ${RATES.map((rate) => html`<option value=${rate} selected=${rate === playback.rate}>${rate}×</option>`)}
    </select>
  </label>`;
}

function PlayerFailed({ retry }) {
  return html`<p class="player-failed" role="alert">
    The recording cannot be played just now.
    <button class="button" type="button" onClick=${retry}>Try again</button>
  </p>`;
}
