import { plural } from "../../format/number.js";
import { html, useEffect, useKeys, useRef } from "../../ui.js";
import { Icon } from "../icon.js";

const DEBOUNCE_MS = 150;

/**
 * The search inside a transcript, and the way from one turn that it found to the next.
 *
 * @param {{text: string, search: (text: string) => void, isSearched: boolean, count: number, at: number, goTo: (at: number) => void}} props
 *     `text`: what is searched for; `isSearched`: it has something to look for; `count`: turns that were found; `at`: the one shown
 */
export function TranscriptSearch({ text, search, isSearched, count, at, goTo }) {
  const input = useRef(null);
  const timer = useRef(null);
  useEffect(() => {
    if (document.activeElement !== input.current) input.current.value = text;
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = () => {
    clearTimeout(timer.current);
    if (input.current.value === text) return false;
    search(input.current.value);
    return true;
  };
  const type = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(apply, DEBOUNCE_MS);
  };
  const press = (event) => {
    if (event.key === "Enter" && !apply() && count > 0) goTo(at + (event.shiftKey ? -1 : 1));
    if (event.key !== "Escape" || input.current.value === "") return;
    event.preventDefault(); // keeps the call open
    input.current.value = "";
    apply();
  };
  const step = (by) => () => count > 0 && goTo(at + by);
  useKeys({ n: step(1), N: step(-1) });
  return html`<div class="transcript-search">
    <label class="search">
      <span class="visually-hidden">Search in this transcript</span>
      <${Icon} name="search" />
      <input ref=${input} type="text" enterkeyhint="search" placeholder="Find in transcript" autocomplete="off" maxlength="512" spellcheck=${false} onInput=${type} onKeyDown=${press} />
    </label>
    ${
      isSearched &&
      html`<div class="matches" role="group" aria-label="Search matches">
        <span role="status">${count === 0 ? "No match" : `${at + 1} of ${plural(count, "match", "matches")}`}</span>
        <button class="icon-button" type="button" aria-label="Previous match" disabled=${count === 0} onClick=${() => goTo(at - 1)}><${Icon} name="up" /></button>
        <button class="icon-button" type="button" aria-label="Next match" disabled=${count === 0} onClick=${() => goTo(at + 1)}><${Icon} name="down" /></button>
      </div>`
    }
  </div>`;
}
