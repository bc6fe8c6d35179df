import { clock, spokenDuration } from "../../format/time.js";
import { barHeights, louderSpeakerPerBar, speakerPerBar, UNPLAYED } from "../../format/waveform.js";
import { html, useApp, useEffect, useRef, useObservable } from "../../ui.js";

const BAR_PX = 3;
const GAP_PX = 1;
const DEFAULT_HEIGHT = 0.16; // of all bars while the loudness is unknown

/**
 * The waveform of the recording in the colours of the speakers, and a slider over it. Drawn on a canvas: libraries set
 * inline styles, which would need a weaker Content-Security-Policy.
 */
export function Waveform({ playback, durationS, waveform, turns }) {
  const canvas = useRef(null);
  useObservable(playback);
  const { version: themeVersion } = useObservable(useApp().theme);
  useDrawing({ canvas, playback, durationS, waveform, turns, themeVersion });
  const hasLength = Number.isFinite(durationS) && durationS > 0;
  const onKeyDown = (event) => {
    const by = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    playback.skip(by);
  };
  return html`<div class="wave">
    <canvas ref=${canvas} class="wave-canvas" aria-hidden="true"></canvas>
    <input
      class="wave-seek"
      type="range"
      min="0"
      max=${hasLength ? durationS : 0}
      step="0.1"
      value=${playback.positionS}
      aria-label="Playback position"
      aria-valuetext=${`${spokenDuration(playback.positionS)} of ${spokenDuration(durationS)}`}
      title=${`${clock(playback.positionS)} of ${clock(durationS)}`}
      onInput=${(event) => playback.seek(event.currentTarget.valueAsNumber)}
      onKeyDown=${onKeyDown}
    />
  </div>`;
}

function useDrawing({ canvas, playback, durationS, waveform, turns, themeVersion }) {
  useEffect(() => {
    const { peaks, channels } = waveform ?? {};
    const element = canvas.current;
    let [shape, colours, frame] = [null, null, null];
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const scale = globalThis.devicePixelRatio ?? 1;
      [element.width, element.height] = [Math.round(width * scale), Math.round(height * scale)];
      const count = Math.max(1, Math.floor(width / (BAR_PX + GAP_PX)));
      const heights = peaks ? barHeights(peaks, count) : Array(count).fill(DEFAULT_HEIGHT);
      const roles = channels ? louderSpeakerPerBar(channels, turns, durationS, count) : speakerPerBar(turns, durationS, count);
      shape = { width, height, scale, heights, roles };
      colours = coloursOf(element);
      draw();
    };
    const draw = () => paint(element.getContext("2d"), shape, colours, playback.exactPositionS / durationS);
    const run = () => {
      draw();
      frame = playback.isPlaying ? requestAnimationFrame(run) : null;
    };
    measure();
    const stop = playback.subscribe(() => frame === null && run());
    const sizes = new ResizeObserver(measure);
    sizes.observe(element);
    return () => {
      stop();
      sizes.disconnect();
      cancelAnimationFrame(frame);
    };
  }, [playback, durationS, waveform, turns, themeVersion]);
}

function coloursOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return { agent: colour("--accent"), user: colour("--other"), none: colour("--muted"), played: colour("--accent-ground"), head: colour("--text") };
}

function paint(context, { width, height, scale, heights, roles }, colours, share) {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const playedTo = Math.max(0, Math.min(1, share || 0)) * width;
  const stepPx = width / heights.length;
  context.fillStyle = colours.played;
  context.fillRect(0, 0, playedTo, height);
  heights.forEach((value, index) => {
    const barHeight = Math.max(2, value * (height - 4));
    const left = index * stepPx;
    context.fillStyle = colours[roles[index]] ?? colours.none;
    context.globalAlpha = left < playedTo ? 1 : UNPLAYED;
    context.fillRect(left, (height - barHeight) / 2, Math.max(1, stepPx - GAP_PX), barHeight);
  });
  context.globalAlpha = 1;
  context.fillStyle = colours.head;
  if (playedTo > 0) context.fillRect(Math.min(width - 1.5, playedTo - 0.75), 0, 1.5, height);
}
