import { count, plural } from "../../format/number.js";
import { exactTime, relativeTime } from "../../format/time.js";
import { kindName } from "../../format/vendors.js";
import { reasonOf } from "../../format/verdicts.js";
import { deliveriesHref, payloadTestHref } from "../../route.js";
import { VERDICTS } from "../../search/delivery_filter.js";
import { html, useApp, useEffect, useNow, usePolling, useRef, useState } from "../../ui.js";
import { Loading } from "../loading.js";
import { DeliveryRow } from "./delivery_row.js";
import { PageFailed } from "./page_failed.js";
import { ApiKey } from "./source_key.js";
import { SourceSettings } from "./source_settings.js";
import { Setup } from "./source_setup.js";

const WATCH_MS = 2_000; // while the set-up is open
const REFRESH_MS = 15_000;
const RECENT = 5;

/** One source: how it is set up, what it sent, its key or secrets, and its settings. `firstKey`: a key that was just made */
export function SourceView({ id, firstKey }) {
  const { api, title } = useApp();
  const [isWatching, setWatching] = useState(false);
  const load = async (signal) => {
    const [source, { deliveries, total }] = await Promise.all([
      api.source(id, { signal }),
      api.deliveries({ source: id, limit: RECENT }, { signal }),
    ]);
    return { source, deliveries, total };
  };
  const { value, error, reload } = usePolling(load, [id], isWatching ? WATCH_MS : REFRESH_MS);
  const heading = useRef(null);
  useEffect(() => title.show(value?.source.name ?? "Source"), [value?.source.name]);
  useEffect(() => {
    if (!firstKey) heading.current?.focus({ preventScroll: true }); // else the key has the focus
  }, [value !== null]);
  if (error?.status === 404) {
    return html`<h2 class="page-title">Source not found</h2>
      <p class="muted" role="alert">The link may be incomplete, or the source may belong to another organization.</p>`;
  }
  if (error && !value) return html`<${PageFailed} error=${error} reload=${reload} />`;
  if (!value) return html`<${Loading} />`;
  const { source, deliveries, total } = value;
  return html`<header class="delivery-head">
      <h2 class="page-title" tabindex="-1" ref=${heading}><bdi>${source.name}</bdi></h2>
      <${Switch} source=${source} reload=${reload} />
    </header>
    ${error && html`<p class="notice page-notice" role="alert">${error.message} What is shown may be out of date.</p>`}
    <${Facts} source=${source} />
    ${
      source.kind === "api"
        ? html`<${ApiKey} source=${source} firstKey=${firstKey} reload=${reload} />`
        : html`<${Setup} source=${source} latest=${deliveries[0] ?? null} onToggle=${setWatching} reload=${reload} />`
    }
    <${Refusals} refused=${source.refused ?? {}} />
    <${Recent} source=${source} deliveries=${deliveries} total=${total} />
    <${SourceSettings} source=${source} reload=${reload} />`;
}

function Switch({ source, reload }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, error: null });
  const { id, name, enabled } = source;
  const change = async () => {
    setState({ isBusy: true, error: null });
    try {
      await api.changeSource(id, { enabled: !enabled });
      reload();
      setState({ isBusy: false, error: null });
    } catch ({ message }) {
      setState({ isBusy: false, error: message });
    }
  };
  return html`<button class="button" type="button" disabled=${state.isBusy} aria-label=${`${enabled ? "Disable" : "Enable"} ${name}`} onClick=${change}>
      ${enabled ? "Disable" : "Enable"}
    </button>
    ${state.error && html`<p class="form-error" role="alert">${state.error}</p>`}`;
}

function Facts({ source }) {
  const nowMs = useNow(REFRESH_MS);
  const { id, kind, enabled, lastSeenAt, createdAt, createdByName, refusedLastDay = 0, deliveries = {} } = source;
  const facts = [
    ["Vendor", kindName(kind)],
    ["State", html`<span class="status" data-verdict=${enabled ? "created" : "ignored"}>${enabled ? "Enabled" : "Disabled"}</span>`],
    [
      "Last seen",
      lastSeenAt ? html`<time datetime=${lastSeenAt} title=${exactTime(lastSeenAt)}>${relativeTime(lastSeenAt, nowMs)}</time>` : "Not yet",
    ],
    ["Created", html`<time datetime=${createdAt} title=${exactTime(createdAt)}>${relativeTime(createdAt, nowMs)}</time>${createdByName && ` by ${createdByName}`}`],
    ["Refused, last 24 h", count(refusedLastDay)],
    ...Object.entries(VERDICTS)
      .filter(([verdict]) => deliveries[verdict] > 0)
      .map(([verdict, text]) => [text, html`<a href=${deliveriesHref({ source: id, verdict })}>${count(deliveries[verdict])}</a>`]),
  ];
  return html`<dl class="delivery-facts">
    ${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function Refusals({ refused }) {
  const causes = Object.entries(refused).filter(([, times]) => times > 0);
  if (causes.length === 0) return null;
  return html`<section aria-labelledby="refusals-title">
    <h3 id="refusals-title">Refused at the door</h3>
    <ul role="list">
      ${causes.map(
        ([code, times]) => html`<li class="box fault" key=${code}>
          <p><strong>${plural(times, "time")}</strong> <span class="mono muted small">${code}</span></p>
          <p>${reasonOf({ code })}</p>
        </li>`,
      )}
    </ul>
  </section>`;
}

function Recent({ source, deliveries, total }) {
  const nowMs = useNow(REFRESH_MS);
  const { id, kind } = source;
  const filter = { source: id };
  return html`<section aria-labelledby="recent-title">
    <div class="section-line">
      <h3 id="recent-title">Recent deliveries</h3>
      ${kind !== "api" && html`<a href=${payloadTestHref(id)}>Test a payload</a>`}
      ${total > 0 && html`<a href=${deliveriesHref(filter)}>All ${plural(total, "delivery", "deliveries")}</a>`}
    </div>
    ${
      deliveries.length === 0
        ? html`<p class="muted">${kind === "api" ? "Nothing was refused. Calls that are accepted are in the list of calls." : "None yet."}</p>`
        : html`<ol class="delivery-list delivery-list-short" role="list" aria-label="Recent deliveries, newest first">
            ${deliveries.map((item) => html`<${DeliveryRow} key=${item.id} item=${item} sourceName=${null} filter=${filter} nowMs=${nowMs} />`)}
          </ol>`
    }
  </section>`;
}
