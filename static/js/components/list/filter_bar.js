import { changed, choiceCount, DATES, DIRECTIONS, isEverything, STATUSES } from "../../search/filter.js";
import { callHref, listHref } from "../../route.js";
import { html, memo, useEffect, useKeys, useLatest, useLoaded, useParts, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";

const TYPING_MS = 220;
const LENGTHS = {
  "0-30": "Up to 30 s",
  "30-120": "30 s to 2 min",
  "120-600": "2 to 10 min",
  "600-": "10 min or longer",
};

/** Search and choices. Each change goes into the address bar, and from there to the list. */
export const FilterBar = memo(({ filter, openId }) => {
  const [isOpen, setOpen] = useState(choiceCount(filter) > 0);
  const count = choiceCount(filter);
  const set = useLatest((change, { isTyping = false } = {}) => {
    const next = changed(filter, change);
    const href = openId ? callHref(openId, next) : listHref(next);
    if (isTyping) location.replace(href); // not every letter is a step to go back to
    else location.hash = href;
  });
  return html`<div class="finder">
      <${Search} filter=${filter} set=${set} />
      <button
        class="tool filter-toggle"
        type="button"
        aria-expanded=${isOpen ? "true" : "false"}
        aria-controls="filters"
        onClick=${() => setOpen(!isOpen)}
      >
        <${Icon} name="filter" /><span>Filters${count > 0 ? ` (${count})` : ""}</span>
      </button>
    </div>
    <div class="filters" id="filters" hidden=${!isOpen}>
      <${Choice} label="Status" value=${filter.status} options=${STATUSES} any="Any status" onPick=${(status) => set.current({ status })} />
      <${Choice}
        label="Direction"
        value=${filter.direction}
        options=${DIRECTIONS}
        any="Both directions"
        onPick=${(direction) => set.current({ direction })}
      />
      ${isOpen && html`<${AgentChoice} value=${filter.agentName} onPick=${(agentName) => set.current({ agentName })} />`}
      <${DateChoice} filter=${filter} set=${set} />
      <${LengthChoice} filter=${filter} set=${set} />
      ${
        !isEverything(filter) &&
        html`<button class="tool" type="button" onClick=${() => set.current(Object.fromEntries(Object.keys(filter).map((name) => [name, ""])))}>
          <${Icon} name="close" /><span>Clear</span>
        </button>`
      }
    </div>`;
});

function Search({ filter, set }) {
  const input = useRef(null);
  const timer = useRef(null);
  useKeys({
    "/": () => {
      input.current.focus();
      input.current.select();
    },
  });
  // The address may change by other ways than typing: a link, going back.
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
    timer.current = setTimeout(search, TYPING_MS);
  };
  const press = (event) => {
    if (event.key === "Enter") search();
    if (event.key !== "Escape") return;
    event.preventDefault(); // the open call stays open
    if (input.current.value === "") input.current.blur();
    else {
      input.current.value = "";
      search();
    }
  };
  return html`<label class="search">
    <span class="visually-hidden">Search names, numbers, summaries and what was said</span>
    <${Icon} name="search" />
    <input
      ref=${input}
      type="search"
      name="search"
      placeholder="Name, number, or a word that was said"
      autocomplete="off"
      spellcheck=${false}
      onInput=${type}
      onKeyDown=${press}
    />
    <kbd class="only-wide" aria-hidden="true">/</kbd>
  </label>`;
}

function Choice({ label, value = "", options, any, onPick }) {
  return html`<label class="choice" data-chosen=${value ? "" : null}>
    <span class="visually-hidden">${label}</span>
    <select value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>
      <option value="">${any}</option>
      ${Object.entries(options).map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  </label>`;
}

function AgentChoice({ value, onPick }) {
  const { api } = useParts();
  const { value: known } = useLoaded((signal) => api.agents({ signal }), []);
  const names = [...new Set([...(known ?? []), ...(value ? [value] : [])])];
  const options = Object.fromEntries(names.map((name) => [name, name]));
  return html`<${Choice} label="Agent" value=${value} options=${options} any="Any agent" onPick=${onPick} />`;
}

function DateChoice({ filter, set }) {
  const hasDays = Boolean(filter.startDate || filter.endDate);
  const [isPicking, setPicking] = useState(hasDays);
  // Cleared, or another address: nobody is picking days there.
  useEffect(() => {
    if (isEverything(filter)) setPicking(false);
  }, [filter]);
  const pick = (value) => {
    setPicking(value === "days");
    if (value !== "days") set.current({ date: value, startDate: "", endDate: "" });
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return html`<${Choice}
      label="Date"
      value=${isPicking || hasDays ? "days" : filter.date}
      options=${{ ...DATES, days: "From … to …" }}
      any="Any date"
      onPick=${pick}
    />
    ${
      (isPicking || hasDays) &&
      html`<span class="days" title=${`Days in ${zone}`}>
        <${Day} label="From" value=${filter.startDate} onPick=${(startDate) => set.current({ startDate, date: "" })} />
        <${Day} label="To" value=${filter.endDate} onPick=${(endDate) => set.current({ endDate, date: "" })} />
      </span>`
    }`;
}

function Day({ label, value = "", onPick }) {
  return html`<label class="choice" data-chosen=${value ? "" : null}>
    <span class="choice-label">${label}</span>
    <input type="date" value=${value} onChange=${(event) => onPick(event.currentTarget.value)} />
  </label>`;
}

function LengthChoice({ filter, set }) {
  const { minDuration = "", maxDuration = "" } = filter;
  const value = minDuration || maxDuration ? `${minDuration || 0}-${maxDuration}` : "";
  const options = value && !LENGTHS[value] ? { ...LENGTHS, [value]: `${minDuration || 0} to ${maxDuration || "∞"} s` } : LENGTHS;
  const pick = (range) => {
    const [min = "", max = ""] = range.split("-");
    set.current({ minDuration: min === "0" ? "" : min, maxDuration: max });
  };
  return html`<${Choice} label="Duration" value=${value} options=${options} any="Any length" onPick=${pick} />`;
}

