import { callHref, listHref } from "../../route.js";
import { activeCount, DATES, DIRECTIONS, isEmptyFilter, STATUSES, updateFilter } from "../../search/filter.js";
import { html, memo, useEffect, useKeys, useLatest, useAsync, useApp, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Select } from "../select.js";
import { SearchHelp } from "./search_help.js";

const DEBOUNCE_MS = 220;
const DURATIONS = {
  "0-30": "Up to 30 s",
  "30-120": "30 s to 2 min",
  "120-600": "2 to 10 min",
  "600-": "10 min or more",
};

/** Search and filters. Each change goes to the address bar, and from there to the list. */
export const FilterBar = memo(({ filter, openId }) => {
  const [isOpen, setOpen] = useState(activeCount(filter) > 0);
  const count = activeCount(filter);
  const set = useLatest((change, { isTyping = false } = {}) => {
    const next = updateFilter(filter, change);
    const href = openId ? callHref(openId, next) : listHref(next);
    if (isTyping) location.replace(href); // typing does not fill the browser history
    else location.hash = href;
  });
  return html`<div class="search-bar">
      <${Search} filter=${filter} set=${set} />
      <${SearchHelp} />
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
      <${Select} label="Status" value=${filter.status} options=${STATUSES} any="Any status" onPick=${(status) => set.current({ status })} />
      <${Select}
        label="Direction"
        value=${filter.direction}
        options=${DIRECTIONS}
        any="Any direction"
        onPick=${(direction) => set.current({ direction })}
      />
      ${isOpen && html`<${AgentSelect} value=${filter.agentName} onPick=${(agentName) => set.current({ agentName })} />`}
      <${DateSelect} filter=${filter} set=${set} />
      <${DurationSelect} filter=${filter} set=${set} />
      ${
        !isEmptyFilter(filter) &&
        html`<button class="tool" type="button" onClick=${() => set.current(Object.fromEntries(Object.keys(filter).map((name) => [name, ""])))}>
          <${Icon} name="close" /><span>Clear all</span>
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
  const press = (event) => {
    if (event.key === "Enter") search();
    if (event.key !== "Escape") return;
    event.preventDefault(); // keeps the open call open
    if (input.current.value === "") input.current.blur();
    else {
      input.current.value = "";
      search();
    }
  };
  return html`<label class="search">
    <span class="visually-hidden">Search calls by name, number, summary or transcript</span>
    <${Icon} name="search" />
    <input
      ref=${input}
      type="search"
      name="search"
      placeholder="Search names, numbers, transcripts"
      autocomplete="off"
      maxlength="512"
      spellcheck=${false}
      onInput=${type}
      onKeyDown=${press}
    />
    <kbd class="only-wide" aria-hidden="true">/</kbd>
  </label>`;
}

function AgentSelect({ value, onPick }) {
  const { api } = useApp();
  const { value: known } = useAsync((signal) => api.agents({ signal }), []);
  const names = [...new Set([...(known ?? []), ...(value ? [value] : [])])];
  const options = Object.fromEntries(names.map((name) => [name, name]));
  return html`<${Select} label="Agent" value=${value} options=${options} any="Any agent" onPick=${onPick} />`;
}

function DateSelect({ filter, set }) {
  const hasDays = Boolean(filter.startDate || filter.endDate);
  const [isPicking, setPicking] = useState(hasDays);
  // Cleared, or changed by a link.
  useEffect(() => {
    if (isEmptyFilter(filter)) setPicking(false);
  }, [filter]);
  const pick = (value) => {
    setPicking(value === "days");
    if (value !== "days") set.current({ date: value, startDate: "", endDate: "" });
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return html`<${Select}
      label="Date"
      value=${isPicking || hasDays ? "days" : filter.date}
      options=${{ ...DATES, days: "Custom range" }}
      any="Any date"
      onPick=${pick}
    />
    ${
      (isPicking || hasDays) &&
      html`<span class="days" title=${`Time zone: ${zone}`}>
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

function DurationSelect({ filter, set }) {
  const { minDuration = "", maxDuration = "" } = filter;
  const value = minDuration || maxDuration ? `${minDuration || 0}-${maxDuration}` : "";
  const options = value && !DURATIONS[value] ? { ...DURATIONS, [value]: maxDuration ? `${minDuration || 0} to ${maxDuration} s` : `${minDuration} s or more` } : DURATIONS;
  const pick = (range) => {
    const [min = "", max = ""] = range.split("-");
    set.current({ minDuration: min === "0" ? "" : min, maxDuration: max });
  };
  return html`<${Select} label="Duration" value=${value} options=${options} any="Any duration" onPick=${pick} />`;
}

