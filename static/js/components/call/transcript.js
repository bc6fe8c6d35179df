import { saveText } from "../../browser/clipboard.js";
import { clock, plural } from "../../format/time.js";
import { hitsOf, isTimed, momentOf, transcriptText, turnAt } from "../../format/transcript.js";
import { html, memo, useEffect, useLatest, useMemo, useRef, useState, useWatched } from "../../ui.js";
import { marked } from "../../search/query.js";
import { Icon } from "../icon.js";

const HANDS_OFF_MS = 4_000; // whoever scrolls is left alone for this long

/**
 * What was said, turn by turn.
 *
 * @param {{turns: object[], names: {agent: string, user: string}, playback: object | null, query: object[], callId: string}} props
 *     `query`: the words of the search that led here
 */
export function Transcript({ turns, names, playback, query, callId }) {
  const root = useRef(null);
  const hits = useMemo(() => hitsOf(turns, query), [turns, query]);
  const [hitAt, setHitAt] = useState(0);
  const hit = hits[hitAt] ?? null;
  const seekTo = useLatest((index, at, plays) => {
    const seconds = momentOf(turns, index, at, playback?.lengthS);
    if (seconds === null || !playback) return;
    if (plays) playback.playFrom(seconds);
    else playback.seek(seconds);
  });
  const play = useMemo(() => (index, at = 0) => seekTo.current(index, at, true), []);
  useEffect(() => {
    if (hits.length > 0) root.current.querySelector("mark")?.scrollIntoView({ block: "center" });
    setHitAt(0);
  }, [hits]);
  const goTo = (next) => {
    const place = (next + hits.length) % hits.length;
    setHitAt(place);
    root.current.querySelectorAll("mark")[place]?.scrollIntoView({ block: "center" });
    seekTo.current(hits[place].index, hits[place].at, false);
  };
  const save = () => saveText(transcriptText(turns, names), `transcript-${callId}.txt`);

  return html`<section class="call-section" ref=${root}>
    <div class="section-head">
      <h3>Transcript</h3>
      ${hits.length > 0 && html`<${Hits} count=${hits.length} at=${hitAt} goTo=${goTo} />`}
      ${
        turns.length > 0 &&
        html`<button class="tool" type="button" onClick=${save} title="Download the transcript as text">
          <${Icon} name="download" /><span class="visually-hidden">Download the transcript</span>
        </button>`
      }
    </div>
    ${turns.length === 0 && html`<p class="muted">This call has no transcript.</p>`}
    ${
      turns.length > 0 &&
      (playback
        ? html`<${Followed} root=${root} turns=${turns} names=${names} playback=${playback} query=${query} hit=${hit} play=${play} />`
        : html`<${Turns} turns=${turns} names=${names} query=${query} hit=${hit} at=${-1} play=${null} />`)
    }
  </section>`;
}

function Hits({ count, at, goTo }) {
  return html`<div class="hits" role="group" aria-label="Words of the search">
    <span role="status">${at + 1} of ${plural(count, "hit")}</span>
    <button class="icon-button" type="button" aria-label="Previous hit" onClick=${() => goTo(at - 1)}><${Icon} name="up" /></button>
    <button class="icon-button" type="button" aria-label="Next hit" onClick=${() => goTo(at + 1)}><${Icon} name="down" /></button>
  </div>`;
}

function Followed({ root, turns, names, playback, query, hit, play }) {
  useWatched(playback);
  const hasBegun = playback.isPlaying || playback.atS > 0;
  const at = hasBegun ? turnAt(turns, playback.atS) : -1;
  useFollowing(root, at, playback);
  return html`<${Turns} turns=${turns} names=${names} query=${query} hit=${hit} at=${at} play=${play} />`;
}

// The turn that is spoken stays in sight, unless the reader is reading elsewhere.
function useFollowing(root, at, playback) {
  const movedAtMs = useRef(-Infinity);
  useEffect(() => {
    const pane = root.current.closest(".call");
    const watching = new AbortController();
    const note = () => (movedAtMs.current = performance.now());
    for (const name of ["wheel", "touchmove", "pointerdown"]) {
      pane.addEventListener(name, note, { passive: true, signal: watching.signal });
    }
    return () => watching.abort();
  }, []);
  useEffect(() => {
    if (at < 0 || !playback.isPlaying || performance.now() - movedAtMs.current < HANDS_OFF_MS) return;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    root.current.querySelector(".turn[data-now]")?.scrollIntoView({ block: "center", behavior: isCalm ? "auto" : "smooth" });
  }, [at]);
}

// The position changes four times a second, the turns do not.
const Turns = memo(
  ({ turns, names, query, hit, at, play }) => html`<ol class="turns">
    ${turns.map(
      (turn, index) => html`<${Turn}
        key=${index}
        index=${index}
        turn=${turn}
        name=${names[turn.role] ?? turn.role}
        query=${query}
        hitAt=${hit?.index === index ? hit.at : -1}
        isNow=${index === at}
        play=${play}
      />`,
    )}
  </ol>`,
);

const Turn = memo(({ index, turn, name, query, hitAt, isNow, play }) => {
  const canPlay = play !== null && isTimed(turn);
  const listen = (event) => {
    if (!getSelection().isCollapsed) return; // the reader wants the words, not the sound
    play(index, Number(event.target.dataset?.at ?? 0));
  };
  return html`<li
    class="turn"
    data-role=${turn.role}
    data-now=${isNow ? "" : null}
    data-can-play=${canPlay ? "" : null}
    aria-current=${isNow ? "true" : null}
    onClick=${canPlay ? listen : null}
  >
    <p class="turn-head">
      <bdi class="turn-name">${name}</bdi>
      ${isTimed(turn) && html`<${TurnTime} seconds=${turn.timestamp} canPlay=${canPlay} />`}
    </p>
    <p class="turn-text" dir="auto">
      ${marked(turn.message, query).map(({ text, isHit, at }) =>
        isHit ? html`<mark data-at=${at} data-now=${at === hitAt ? "" : null}>${text}</mark>` : text,
      )}
    </p>
  </li>`;
});

// The click goes on to the turn, which knows what to do.
function TurnTime({ seconds, canPlay }) {
  if (!canPlay) return html`<span class="turn-time">${clock(seconds)}</span>`;
  return html`<button class="turn-time turn-seek" type="button" aria-label=${`Play from ${clock(seconds)}`}>${clock(seconds)}</button>`;
}
