import { contactLabel, hasRecording } from "../../format/call.js";
import { plural } from "../../format/number.js";
import { clock } from "../../format/time.js";
import { callHref } from "../../route.js";
import { piecesOf } from "../../search/pieces.js";
import { playOnOpen } from "../../state/play_on_open.js";
import { html, memo } from "../../ui.js";
import { Icon } from "../icon.js";

const [FAR_CHARS, NEAR_CHARS] = [28, 10]; // shown before the first word that is marked

/** The best of the sentences that were searched for: who said it and when. A click opens the call and plays that moment. */
export const HitLine = memo(({ row, filter, isTabStop }) => {
  const [hit, ...others] = row.hits ?? [];
  if (!hit) return null;
  const atS = hasRecording(row) ? hit.atS : null;
  const who = hit.index === null ? "Summary" : ({ agent: row.agentName || "Agent", user: contactLabel(row) }[hit.role] ?? hit.role);
  const open = () => {
    playOnOpen(row.callId, atS);
    location.hash = callHref(row.callId, filter, atS);
  };
  return html`<button
    class="row-hit"
    type="button"
    tabindex=${isTabStop ? null : "-1"}
    title=${others.length > 0 ? `and ${plural(others.length, "more place")} or more in this call` : null}
    onClick=${open}
  >
    <span class="row-hit-when">
      ${atS !== null && html`<${Icon} name="play" /><span class="visually-hidden">Play from </span>`}
      ${hit.atS !== null && clock(hit.atS)}
    </span>
    <bdi class="row-hit-who">${who}</bdi>
    <bdi class="row-hit-text"><${Sentence} text=${hit.text} marks=${hit.marks} /></bdi>
  </button>`;
});

// From a little before the first mark on, so that it is in sight; in a narrow list from closer to it.
function Sentence({ text, marks }) {
  const [first, ...others] = piecesOf(text, marks);
  const lead = first.isMatch ? "" : first.text;
  const [far, near] = [FAR_CHARS, NEAR_CHARS].map((chars) => startOf(lead, chars));
  const rest = first.isMatch ? [first, ...others] : others;
  return html`${near > 0 && html`<span class="row-hit-far">${far > 0 && "…"}${lead.slice(far, near)}</span>`}${lead.slice(near)}${rest.map(
    (piece) => (piece.isMatch ? html`<mark>${piece.text}</mark>` : piece.text),
  )}`;
}

// Where the last `chars` characters of a text begin, at a word if there is a space.
function startOf(text, chars) {
  if (text.length <= chars) return 0;
  const space = text.indexOf(" ", text.length - chars);
  if (space >= 0 && space < text.length - 1) return space + 1;
  return text.length - [...text].slice(-chars / 2).join("").length;
}
