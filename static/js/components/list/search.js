import { html, useEffect, useKeys, useRef } from "../../ui.js";
import { Icon } from "../icon.js";

const DEBOUNCE_MS = 220;

/** The search field. `set`: a ref to what changes the filter, see `FilterBar`. */
export function Search({ filter, set }) {
  const input = useRef(null);
  const timer = useRef(null);
  useKeys({
    "/": () => {
      input.current.focus();
      input.current.select();
    },
  });
  // The address also changes by links and by the Back button.
  useEffect(() => {
    if (document.activeElement !== input.current) input.current.value = filter.search ?? "";
  }, [filter.search]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const search = () => {
    clearTimeout(timer.current);
    set.current({ search: input.current.value }, { isTyping: true });
  };
  const type = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(search, DEBOUNCE_MS);
  };
  const clear = () => {
    input.current.value = "";
    input.current.focus();
    search();
  };
  const press = (event) => {
    if (event.key === "Enter") search();
    if (event.key !== "Escape") return;
    event.preventDefault(); // keeps the open call open
    if (input.current.value === "") input.current.blur();
    else clear();
  };
  return html`<div class="search">
    <label class="visually-hidden" for="search">Search calls by name, number, summary or transcript</label>
    <${Icon} name="search" />
    <input
      ref=${input}
      id="search"
      type="search"
      name="search"
      placeholder="Search names, numbers, transcripts"
      autocomplete="off"
      maxlength="512"
      spellcheck=${false}
      onInput=${type}
      onKeyDown=${press}
    />
    <button class="icon-button search-clear" type="button" aria-label="Clear search" onClick=${clear}><${Icon} name="close" /></button>
    <kbd class="only-wide" aria-hidden="true">/</kbd>
  </div>`;
}
