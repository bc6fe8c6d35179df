import { downloadText } from "../../browser/download.js";
import { isInSight, scrollToMiddle } from "../../browser/scrolling.js";
import { plural } from "../../format/number.js";
import { clock } from "../../format/time.js";
import { findMatches, hasTime, timeOfWord, toolCallsOf, transcriptText, turnAt } from "../../format/transcript.js";
import { piecesOf } from "../../search/pieces.js";
import { parseQuery } from "../../search/query.js";
import { html, memo, useEffect, useLatest, useMemo, useRef, useState, useObservable } from "../../ui.js";
import { CopyIcon } from "../copying.js";
import { Icon } from "../icon.js";
import { TranscriptSearch } from "./transcript_search.js";
import { Tree } from "./tree.js";

const NO_MARKS = [];
const SCROLL_PAUSE_MS = 4_000; // after the user scrolls, the transcript does not follow the recording for this long

/**
 * The transcript, turn by turn.
 *
 * @param {{turns: object[], names: {agent: string, user: string}, playback: object | null, search?: string, callId: string}} props
 *     `search`: of the list, whose matches are highlighted until the transcript itself is searched
 */
export function Transcript({ turns, names, playback, search = "", callId }) {
  const root = useRef(null);
  const [text, setText] = useState(search);
  useEffect(() => setText(search), [search]);
  const query = useMemo(() => parseQuery(text), [text]);
  const matches = useMemo(() => findMatches(turns, query), [turns, query]);
  const marks = useMemo(() => new Map(matches.map((one) => [one.index, one.marks])), [matches]);
  const [matchAt, setMatchAt] = useState(0);
  const match = matches[matchAt] ?? null;
  const seekTo = useLatest((index, at, plays) => {
    const seconds = timeOfWord(turns, index, at, playback?.durationS);
    if (seconds === null || !playback) return;
    if (plays) playback.playFrom(seconds);
    else playback.seek(seconds, { isJump: false });
  });
  const play = useMemo(() => (index, at = 0) => seekTo.current(index, at, true), []);
  const shown = useRef(false);
  const showMatch = (place) => {
    const mark = matches[place] && root.current.querySelectorAll(".turn")[matches[place].index].querySelector("mark");
    if (mark) scrollToMiddle(mark, root.current.closest(".call"));
  };
  useEffect(() => {
    // A link to a moment leads to that moment, not to the first match.
    const isLinked = playback?.jumps > 0 && !shown.current;
    const linked = isLinked ? matches.findIndex(({ index }) => index === turnAt(turns, playback.positionS)) : -1;
    if (!isLinked) showMatch(0);
    shown.current = true;
    setMatchAt(Math.max(0, linked));
  }, [matches]);
  const goTo = (next) => {
    const place = (next + matches.length) % matches.length;
    setMatchAt(place);
    showMatch(place);
    seekTo.current(matches[place].index, matches[place].at, false);
  };
  const save = () => downloadText(transcriptText(turns, names), `transcript-${callId}.txt`);

  return html`<section class="call-section" ref=${root}>
    <div class="section-head">
      <h3>Transcript</h3>
      ${
        turns.length > 0 &&
        html`<${TranscriptSearch} text=${text} search=${setText} isSearched=${query.marked.length > 0} count=${matches.length} at=${matchAt} goTo=${goTo} />`
      }
      ${
        turns.length > 0 &&
        html`<${CopyIcon} text=${transcriptText(turns, names)} label="Copy transcript" />
          <button class="tool" type="button" onClick=${save} title="Download transcript as text">
            <${Icon} name="download" /><span class="visually-hidden">Download transcript</span>
          </button>`
      }
    </div>
    ${turns.length === 0 && html`<p class="muted">This call has no transcript.</p>`}
    ${
      turns.length > 0 &&
      (playback
        ? html`<${FollowingTurns} root=${root} turns=${turns} names=${names} playback=${playback} marks=${marks} match=${match} play=${play} />`
        : html`<${Turns} turns=${turns} names=${names} marks=${marks} match=${match} at=${-1} play=${null} />`)
    }
  </section>`;
}

function FollowingTurns({ root, turns, names, playback, marks, match, play }) {
  useObservable(playback);
  const hasStarted = playback.isPlaying || playback.positionS > 0 || playback.jumps > 0;
  const at = hasStarted ? turnAt(turns, playback.positionS) : -1;
  useAutoScroll(root, at, playback, useMemo(() => turns.some(hasTime), [turns]));
  return html`<${Turns} turns=${turns} names=${names} marks=${marks} match=${match} at=${at} play=${play} />`;
}

// Keeps the current turn in the middle: at once after a jump; while it plays, unless the user has just scrolled; and when it
// begins to play, if the turn is out of sight.
function useAutoScroll(root, at, playback, isTimed) {
  const scrolledAtMs = useRef(-Infinity);
  const seen = useRef({ jumps: 0, isPlaying: false });
  useEffect(() => {
    const pane = root.current.closest(".call");
    const watching = new AbortController();
    const note = ({ target }) => {
      if (target.closest(".player")) return;
      scrolledAtMs.current = performance.now();
    };
    for (const name of ["wheel", "touchmove", "pointerdown"]) {
      pane.addEventListener(name, note, { passive: true, signal: watching.signal });
    }
    return () => watching.abort();
  }, []);
  const { jumps, isPlaying } = playback;
  useEffect(() => {
    const isJump = jumps !== seen.current.jumps;
    const isStart = isPlaying && !seen.current.isPlaying;
    seen.current = { jumps, isPlaying };
    if (isJump || isStart) scrolledAtMs.current = -Infinity;
    const isFollowing = at >= 0 && isPlaying && performance.now() - scrolledAtMs.current >= SCROLL_PAUSE_MS;
    if (!isTimed || !(isJump || isFollowing)) return;
    const pane = root.current.closest(".call");
    const turn = root.current.querySelectorAll(".turn")[Math.max(0, at)];
    if (isStart && !isJump && isInSight(turn, pane, pane.querySelector(".player"))) return;
    scrollToMiddle(turn, pane, { glides: !isJump && !isStart });
  }, [at, jumps, isPlaying]);
}

/** The turns alone. The position changes four times a second; they do not render again for it. */
export const Turns = memo(
  ({ turns, names, marks, match, at, play }) => html`<ol class="turns">
    ${turns.map(
      (turn, index) => html`<${Turn}
        key=${index}
        index=${index}
        turn=${turn}
        name=${names[turn.role] ?? turn.role}
        marks=${marks.get(index) ?? NO_MARKS}
        matchAt=${match?.index === index ? match.at : -1}
        isCurrent=${index === at}
        play=${play}
      />`,
    )}
  </ol>`,
);

const Turn = memo(({ index, turn, name, marks, matchAt, isCurrent, play }) => {
  const canPlay = play !== null && hasTime(turn);
  const listen = (event) => {
    if (!getSelection().isCollapsed) return; // the user is selecting text
    play(index, Number(event.target.dataset?.at ?? 0));
  };
  return html`<li
    class="turn"
    dir="auto"
    data-role=${turn.role}
    data-now=${isCurrent ? "" : null}
    data-can-play=${canPlay ? "" : null}
    aria-current=${isCurrent ? "true" : null}
    onClick=${canPlay ? listen : null}
  >
    <p class="turn-head">
      <bdi class="turn-name" title=${name}>${name}</bdi>
      ${hasTime(turn) && html`<${TurnTime} seconds=${turn.timestamp} canPlay=${canPlay} />`}
    </p>
    <p class="turn-text">
      ${piecesOf(turn.message, marks).map(({ text, isMatch, at }) =>
        isMatch ? html`<mark data-at=${at} data-now=${at === matchAt ? "" : null}>${text}</mark>` : text,
      )}
    </p>
    <${ToolCalls} turn=${turn} />
  </li>`;
});

// What a machine did during its turn. A click in it does not play the turn.
function ToolCalls({ turn }) {
  const [isOpen, setOpen] = useState(false);
  const { calls, names } = toolCallsOf(turn);
  if (calls.length === 0) return null;
  return html`<details class="turn-tools small" onToggle=${(event) => setOpen(event.currentTarget.open)} onClick=${(event) => event.stopPropagation()}>
    <summary>${plural(calls.length, "tool call")}${names && html`: <bdi class="mono">${names}</bdi>`}</summary>
    ${isOpen && html`<${Tree} value=${calls.length === 1 ? calls[0] : calls} />`}
  </details>`;
}

// The turn handles the click.
function TurnTime({ seconds, canPlay }) {
  if (!canPlay) return html`<span class="turn-time">${clock(seconds)}</span>`;
  return html`<button class="turn-time turn-seek" type="button" aria-label=${`Play from ${clock(seconds)}`}>${clock(seconds)}</button>`;
}
