import { DURATIONS, durationKey, filterParts } from "../../format/filter.js";
import { DATES, DIRECTIONS, STATUSES } from "../../search/filter.js";
import { html, useApp, useAsync } from "../../ui.js";

/** The choice of filters. `set`: a ref to what changes the filter, see `FilterBar`. */
export function FilterPanel({ filter, set }) {
  const pick = (change) => set.current(change);
  const pickDuration = (range) => {
    const [min = "", max = ""] = range.split("-");
    pick({ minDuration: min === "0" ? "" : min, maxDuration: max });
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const duration = durationKey(filter);
  return html`<div class="menu-panel filter-panel" role="group" aria-label="Filters">
    <${Choice} legend="Status" value=${filter.status} options=${STATUSES} onPick=${(status) => pick({ status })} />
    <${Choice} legend="Direction" value=${filter.direction} options=${DIRECTIONS} onPick=${(direction) => pick({ direction })} />
    <${Choice} legend="Date" value=${filter.date} options=${DATES} onPick=${(date) => pick({ date, startDate: "", endDate: "" })}>
      <span class="days" title=${`Time zone: ${zone}`}>
        <${Day} label="From" value=${filter.startDate} onPick=${(startDate) => pick({ startDate, date: "" })} />
        <${Day} label="To" value=${filter.endDate} onPick=${(endDate) => pick({ endDate, date: "" })} />
      </span>
    <//>
    <${Choice} legend="Duration" value=${duration} options=${withOwn(DURATIONS, duration, filter)} onPick=${pickDuration} />
    <${AgentChoice} value=${filter.agentName} onPick=${(agentName) => pick({ agentName })} />
  </div>`;
}

// A range that only an address can name is a choice as well while it is chosen.
function withOwn(options, key, filter) {
  if (key === "" || options[key]) return options;
  const own = filterParts(filter, Date.now()).find(({ fields }) => fields.includes("minDuration"));
  return { ...options, [key]: own.text };
}

function AgentChoice({ value, onPick }) {
  const { api } = useApp();
  const { value: known } = useAsync((signal) => api.agents({ signal }), []);
  const names = [...new Set([...(known ?? []), ...(value ? [value] : [])])];
  if (names.length === 0) return null;
  return html`<${Choice} legend="Agent" value=${value} options=${Object.fromEntries(names.map((name) => [name, name]))} onPick=${onPick} />`;
}

// One of some options, or any. `options`: texts by value.
function Choice({ legend, value = "", options, onPick, children }) {
  return html`<fieldset class="filter-choice">
    <legend>${legend}</legend>
    <div class="pills">
      ${Object.entries({ "": "Any", ...options }).map(
        ([key, text]) => html`<label class="pill" key=${key}>
          <input type="radio" name=${legend} checked=${key === value} onChange=${() => onPick(key)} />
          <bdi>${text}</bdi>
        </label>`,
      )}
      ${children}
    </div>
  </fieldset>`;
}

function Day({ label, value = "", onPick }) {
  return html`<label class="choice" data-chosen=${value ? "" : null}>
    <span class="choice-label">${label}</span>
    <input type="date" value=${value} onChange=${(event) => onPick(event.currentTarget.value)} />
  </label>`;
}
