import { plural } from "../../format/number.js";
import { exactTime, shortTime } from "../../format/time.js";
import { auditHref, callHref, contactHref } from "../../route.js";
import { AUDITED, auditQuery } from "../../search/audit_filter.js";
import { DATES } from "../../search/filter.js";
import { AuditEntries } from "../../state/audit_log.js";
import { html, useApp, useEffect, useMemo, useObservable } from "../../ui.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";
import { Select } from "../select.js";
import { PageFailed } from "./page_failed.js";

const DOORS = { page: null, key: "with an API key", token: "with a read token", command: "tether-rt", server: "The server" };

/** Who did what, newest first. For admins. */
export function Content({ filter }) {
  const { api, title } = useApp();
  const log = useObservable(useMemo(() => new AuditEntries(api), [api]));
  useEffect(() => void log.setFilter(filter), [log, filter]);
  useEffect(() => () => log.stop(), [log]);
  useEffect(() => title.show("Audit log"), []);
  const head = html`<header class="page-head"><h2 class="page-title">Audit log</h2></header>`;
  if (log.error && log.total === null) return html`<${PageFailed} head=${head} error=${log.error} reload=${() => log.reload()} />`;
  if (log.total === null) return html`<${Loading} />`;
  return html`<div class="deliveries">
    ${head}
    ${
      log.error &&
      html`<div class="notice" role="alert">
        <p>${log.error.message}</p>
        <button class="button" type="button" onClick=${() => log.reload()}>Try again</button>
      </div>`
    }
    <section aria-label="Entries">
      <${Tools} log=${log} filter=${filter} />
      <${Entries} log=${log} filter=${filter} />
    </section>
  </div>`;
}

// By what the entries of whoever it was are found: several tokens may have one name.
const sought = ({ who, userId, tokenId }) => tokenId ?? who ?? userId;

function Tools({ log, filter }) {
  const set = (change) => (location.hash = auditHref({ ...filter, ...change }));
  const people = log.items.filter(({ who }) => who).map((entry) => [sought(entry), entry.who]);
  const names = { ...(filter.who && { [filter.who]: filter.who }), ...Object.fromEntries(people) };
  const named = Object.fromEntries(Object.entries(names).sort(([, one], [, other]) => one.localeCompare(other)));
  const isFiltered = Object.keys(filter).length > 0;
  return html`<div class="delivery-tools">
    <${Select} label="What" any="Anything" value=${filter.what} options=${AUDITED} onPick=${(what) => set({ what })} />
    <${Select} label="Who" any="Anybody" value=${filter.who} options=${named} onPick=${(who) => set({ who })} />
    <${Select} label="Date" any="Any date" value=${filter.date} options=${DATES} onPick=${(date) => set({ date })} />
    ${filter.callId && html`<a class="tool" href=${auditHref({ ...filter, callId: undefined })} aria-label="All calls again"><${Icon} name="close" /><span>One call</span></a>`}
    ${isFiltered && html`<a class="tool" href=${auditHref()}>Clear</a>`}
    <p class="muted small" role="status">${log.isLoading ? "Loading…" : plural(log.total, "entry", "entries")}</p>
    <button class="tool" type="button" onClick=${() => log.reload()}><${Icon} name="refresh" /><span>Refresh</span></button>
    <a class="tool" href=${`api/audit/export?${new URLSearchParams(auditQuery(filter, Date.now()))}`} download>
      <${Icon} name="download" /><span>Export</span>
    </a>
  </div>`;
}

function Entries({ log, filter }) {
  if (log.items.length === 0) {
    return html`<div class="empty empty-page">
      <p class="empty-title">${Object.keys(filter).length > 0 ? "No matching entries" : "No entries yet"}</p>
      <p class="muted">Who opened or downloaded a recording, exported, renamed or erased appears here.</p>
    </div>`;
  }
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Entries, newest first">
      <table class="contact-calls">
        <thead>
          <tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">About</th><th scope="col">Details</th></tr>
        </thead>
        <tbody>${log.items.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} filter=${filter} />`)}</tbody>
      </table>
    </div>
    ${
      log.hasMore &&
      html`<button class="button" type="button" disabled=${log.isLoading} onClick=${() => log.loadMore()}>
        ${log.isLoading ? "Loading…" : "Show older"}
      </button>`
    }`;
}

function Entry({ entry, filter }) {
  const { id, at, who, userId, tokenId, door, what, details } = entry;
  return html`<tr data-audit-id=${id}>
    <th scope="row"><time datetime=${at} title=${exactTime(at)}>${shortTime(at, Date.now())}</time></th>
    <td>
      ${who || userId || tokenId ? html`<a href=${auditHref({ ...filter, who: sought(entry) })}><bdi>${who ?? "A user who is gone"}</bdi></a>` : ""}
      ${DOORS[door] && html` <span class="muted">${DOORS[door]}</span>`}
    </td>
    <td>${AUDITED[what] ?? what}</td>
    <td><${About} entry=${entry} /></td>
    <td class="muted small">${words(details)}</td>
  </tr>`;
}

const IS_GONE = new Set(["erased", "expired"]);

function About({ entry: { what, callId, callIds, contactId, subject } }) {
  const isGone = IS_GONE.has(what);
  if (callIds.length > 1) return plural(callIds.length, "call");
  const call = callId ?? callIds[0];
  if (call) return isGone ? html`<span class="mono small">${call}</span>` : html`<a href=${callHref(call)}>A call</a>`;
  if (contactId) return isGone ? html`<span class="mono small">${contactId}</span>` : html`<a href=${contactHref(contactId)}>A contact</a>`;
  return subject && html`<bdi>${subject}</bdi>`;
}

// The server's own words and counts, without ids.
function words(details) {
  const shown = Object.entries(details).filter(([name, value]) => !/Ids?$/.test(name) && value !== null && value !== 0 && String(value) !== "");
  return shown
    .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), [value].flat().join(", ")])
    .map(([name, value]) => (value === "true" ? name : `${name}: ${value}`))
    .join(" · ");
}
