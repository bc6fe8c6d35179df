import { withStylesheets } from "../../browser/stylesheets.js";
import { filterParts } from "../../format/filter.js";
import { callHref, listHref } from "../../route.js";
import { updateFilter } from "../../search/filter.js";
import { html, memo, useAsync, useDismiss, useKeys, useLatest, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Search } from "./search.js";
import { SearchHelp } from "./search_help.js";

const loadPanel = withStylesheets(["filters"], () => import("./filter_panel.js"));

/** Search and filters. Each change goes to the address bar, and from there to the list. */
export const FilterBar = memo(({ filter, openId }) => {
  const set = useLatest((change, { isTyping = false } = {}) => {
    const next = updateFilter(filter, change);
    const href = openId ? callHref(openId, next) : listHref(next);
    if (isTyping) location.replace(href); // typing does not fill the browser history
    else location.hash = href;
  });
  return html`<div class="search-bar">
      <${Search} filter=${filter} set=${set} />
      <${SearchHelp} />
      <${FilterMenu} filter=${filter} set=${set} />
    </div>
    <${Chips} filter=${filter} set=${set} />`;
});

function FilterMenu({ filter, set }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  useDismiss(root, isOpen, () => setOpen(false));
  useKeys({
    f: () => {
      setOpen(true);
      root.current.querySelector("button").focus();
    },
  });
  return html`<div class="filter-menu" ref=${root}>
    <button class="tool filter-toggle" type="button" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name="filter" /><span>Filters</span>
    </button>
    ${isOpen && html`<${LazyPanel} filter=${filter} set=${set} />`}
  </div>`;
}

function LazyPanel(props) {
  const { value, error, reload } = useAsync(loadPanel, []);
  if (value) return html`<${value.FilterPanel} ...${props} />`;
  return (
    error &&
    html`<div class="menu-panel">
      <p role="alert">Couldn't load the filters. Check your connection.</p>
      <button class="button" type="button" onClick=${reload}>Try again</button>
    </div>`
  );
}

// What the list is narrowed by, each with a cross that takes it away.
function Chips({ filter, set }) {
  const parts = filterParts(filter, Date.now());
  if (parts.length === 0) return null;
  const remove = (fields) => set.current(Object.fromEntries(fields.map((name) => [name, ""])));
  const removeOne = (event, fields) => {
    const item = event.currentTarget.parentElement;
    const [next] = [item.nextElementSibling, item.previousElementSibling].filter((other) => other?.matches(".chip-item"));
    focusOn(next?.firstElementChild);
    remove(fields);
  };
  const removeAll = () => {
    focusOn(null);
    remove(parts.flatMap(({ fields }) => fields));
  };
  return html`<ul class="chips" role="list" aria-label="Filters in use">
    ${parts.map(
      ({ text, fields }) => html`<li class="chip-item" key=${fields.join()}>
        <button class="chip" type="button" aria-label=${`Remove filter: ${text}`} onClick=${(event) => removeOne(event, fields)}>
          <bdi>${text}</bdi><${Icon} name="close" />
        </button>
      </li>`,
    )}
    <li key="all"><button class="tool" type="button" onClick=${removeAll}>Clear all</button></li>
  </ul>`;
}

const focusOn = (element) => (element ?? document.querySelector(".filter-toggle")).focus();
