import { clock } from "../format.js";
import { isTimed, turnAt } from "../transcript.js";
import { html, useMemo, useWatched } from "../ui.js";

/** @param {{turns: object[], names: {agent: string, user: string}, playback: object | null}} props */
export function Transcript({ turns, names, playback }) {
  if (turns.length === 0) return html`<p class="muted">This call has no transcript.</p>`;
  return playback
    ? html`<${Followed} turns=${turns} names=${names} playback=${playback} />`
    : html`<${Turns} turns=${turns} names=${names} at=${-1} playFrom=${null} />`;
}

function Followed({ turns, names, playback }) {
  useWatched(playback);
  const hasBegun = playback.isPlaying || playback.atS > 0;
  const playFrom = useMemo(() => (seconds) => playback.playFrom(seconds), [playback]);
  const at = hasBegun ? turnAt(turns, playback.atS) : -1;
  return html`<${Turns} turns=${turns} names=${names} at=${at} playFrom=${playFrom} />`;
}

function Turns({ turns, names, at, playFrom }) {
  return html`<ol class="turns">
    ${turns.map(
      (turn, index) => html`<${Turn}
        key=${index}
        turn=${turn}
        name=${names[turn.role] ?? turn.role}
        isNow=${index === at}
        playFrom=${playFrom}
      />`,
    )}
  </ol>`;
}

function Turn({ turn, name, isNow, playFrom }) {
  return useMemo(
    () => html`<li class="turn" data-role=${turn.role} data-now=${isNow ? "" : null}>
      <p class="turn-head">
        <bdi class="turn-name">${name}</bdi>
        ${isTimed(turn) && html`<${TurnTime} seconds=${turn.timestamp} playFrom=${playFrom} />`}
      </p>
      <p class="turn-text" dir="auto">${turn.message}</p>
    </li>`,
    [turn, name, isNow, playFrom],
  );
}

function TurnTime({ seconds, playFrom }) {
  if (!playFrom) return html`<span class="turn-time">${clock(seconds)}</span>`;
  const label = `Play from ${clock(seconds)}`;
  return html`<button class="turn-time turn-seek" type="button" aria-label=${label} onClick=${() => playFrom(seconds)}>
    ${clock(seconds)}
  </button>`;
}
