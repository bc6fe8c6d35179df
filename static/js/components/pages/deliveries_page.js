import { count, plural } from "../../format/number.js";
import { relativeTime } from "../../format/time.js";
import { deliveriesHref, deliveryHref } from "../../route.js";
import { VERDICTS } from "../../search/delivery_filter.js";
import { DATES } from "../../search/filter.js";
import { DeliveryLog } from "../../state/delivery_log.js";
import { html, useApp, useEffect, useKeys, useLayoutEffect, useMemo, useNow, useObservable, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";
import { Select } from "../select.js";
import { AdminNav } from "./admin_nav.js";
import { DeliveryRow } from "./delivery_row.js";
import { DeliveryView } from "./delivery_view.js";
import { PageFailed } from "./page_failed.js";

const SHOWN_REASONS = 6;
const CLOCK_MS = 15_000;
const FAILED = new Set(["refused", "dead"]);

/** What webhooks brought and what was refused: listed, explained, and sent again. For admins. */
export function Content({ id, filter }) {
  const { api, title } = useApp();
  const log = useObservable(useMemo(() => new DeliveryLog(api), [api]));
  useEffect(() => log.setFilter(filter), [log, filter]);
  useEffect(() => () => log.stop(), [log]);
  useEffect(() => {
    if (id === null) title.show("Deliveries");
  }, [id]);
  useDeliveryKeys(log, id, filter);

  if (log.error && log.total === null) return html`<${PageFailed} head=${html`<${AdminNav} current="deliveries" />`} error=${log.error} reload=${() => log.reload()} />`;
  if (id !== null) return html`<${DeliveryView} key=${id} id=${id} log=${log} filter=${filter} />`;
  if (log.total === null) return html`<${Loading} />`;
  return html`<div class="deliveries">
    <${AdminNav} current="deliveries" />
    ${
      log.error &&
      html`<div class="notice" role="alert">
        <p>${log.error.message}</p>
        <button class="button" type="button" onClick=${() => log.reload()}>Try again</button>
      </div>`
    }
    <${Reasons} log=${log} filter=${filter} />
    <section aria-label="Deliveries">
      <${Tools} log=${log} filter=${filter} />
      <${List} log=${log} filter=${filter} />
    </section>
  </div>`;
}

// `j` and `k` go through the list, or through the deliveries themselves while one is open; Esc closes it.
function useDeliveryKeys(log, id, filter) {
  const lastId = useRef(null);
  useLayoutEffect(() => {
    if (id === null && lastId.current !== null) linkOf(lastId.current)?.focus();
    if (id !== null) lastId.current = id;
  }, [id, log.total]);
  const step = (by) => () => {
    const focused = document.activeElement?.closest("[data-delivery-id]")?.dataset.deliveryId ?? lastId.current;
    const at = log.items.findIndex((item) => item.id === (id ?? focused));
    const next = log.items[at < 0 ? 0 : Math.max(0, Math.min(log.items.length - 1, at + by))];
    if (next === undefined) return;
    if (id === null) linkOf(next.id).focus();
    else location.replace(deliveryHref(next.id, filter));
  };
  useKeys({
    j: step(1),
    k: step(-1),
    Escape: () => (id === null ? false : (location.hash = deliveriesHref(filter)) && true),
  });
}

const linkOf = (id) => document.querySelector(`[data-delivery-id="${CSS.escape(id)}"] .delivery-link`);

function Reasons({ log, filter }) {
  const [isWhole, setWhole] = useState(false);
  const nowMs = useNow(CLOCK_MS);
  const failed = log.reasons.filter(({ verdict, code }) => code !== null && FAILED.has(verdict));
  if (failed.length === 0) return null;
  const isChosen = ({ verdict, code }) => filter.verdict === verdict && filter.code === code;
  return html`<section aria-labelledby="reasons-title">
    <h3 id="reasons-title">Why deliveries failed</h3>
    <ul class="reasons" role="list">
      ${failed.slice(0, isWhole ? failed.length : SHOWN_REASONS).map(
        (reason) => html`<li key=${`${reason.verdict} ${reason.code}`}>
          <a
            class="reason"
            href=${deliveriesHref(isChosen(reason) ? {} : { verdict: reason.verdict, code: reason.code })}
            aria-current=${isChosen(reason) ? "true" : null}
          >
            <strong>${count(reason.count)}</strong>
            <span class="reason-code mono">${reason.code}</span>
            <span class="muted small">${VERDICTS[reason.verdict] ?? reason.verdict}, last ${relativeTime(reason.lastAt, nowMs)}</span>
          </a>
        </li>`,
      )}
    </ul>
    ${
      failed.length > SHOWN_REASONS &&
      html`<button class="button button-small" type="button" onClick=${() => setWhole(!isWhole)}>
        ${isWhole ? "Show fewer" : `Show all ${failed.length}`}
      </button>`
    }
  </section>`;
}

function Tools({ log, filter }) {
  const set = (change) => (location.hash = deliveriesHref({ ...filter, ...change }));
  // What is chosen by a link is an option, even if it does not occur.
  const options = (values, chosen, label) =>
    Object.fromEntries([...new Set([...values, ...(chosen ? [chosen] : [])])].map((value) => [value, label(value)]));
  const sources = options(log.sources.map(({ id }) => id), filter.source, (id) => log.sourceName(id));
  const codes = options(log.reasons.map(({ code }) => code).filter(Boolean).sort(), filter.code, (code) => code);
  const isFiltered = Object.keys(filter).length > 0;
  return html`<div class="delivery-tools">
    <${Select} label="Source" any="Any source" value=${filter.source} options=${sources} onPick=${(source) => set({ source })} />
    <${Select} label="Result" any="Any result" value=${filter.verdict} options=${VERDICTS} onPick=${(verdict) => set({ verdict })} />
    <${Select} label="Code" any="Any code" value=${filter.code} options=${codes} onPick=${(code) => set({ code })} />
    <${Select} label="Date" any="Any date" value=${filter.date} options=${DATES} onPick=${(date) => set({ date })} />
    ${
      isFiltered &&
      html`<a class="tool" href=${deliveriesHref()}><${Icon} name="close" /><span>Clear all</span></a>`
    }
    <span class="player-space"></span>
    <p class="muted small" role="status">${log.isLoading ? "Loading…" : plural(log.total, "delivery", "deliveries")}</p>
    <button class="tool" type="button" onClick=${() => log.reload()}><${Icon} name="refresh" /><span>Refresh</span></button>
    <${ReplayAll} log=${log} />
  </div>`;
}

// First says how many would be replayed, then asks.
function ReplayAll({ log }) {
  const dialog = useRef(null);
  const [state, setState] = useState({ matching: null, outcome: null, error: null, isBusy: false });
  const run = async (work) => {
    setState({ matching: state.matching, outcome: null, error: null, isBusy: true });
    try {
      const change = await work();
      setState((old) => ({ ...old, ...change, isBusy: false }));
    } catch ({ message }) {
      setState((old) => ({ ...old, error: message, isBusy: false }));
    }
  };
  const ask = () =>
    run(async () => {
      const matching = await log.countReplay();
      dialog.current.returnValue = "no";
      dialog.current.showModal();
      return { matching };
    });
  const replay = () => run(() => log.replay((outcome) => setState((old) => ({ ...old, outcome }))));
  const { matching, outcome, error, isBusy } = state;
  return html`<button class="button button-icon" type="button" disabled=${isBusy || log.total === 0} onClick=${ask}>
      ${isBusy ? "Working…" : "Replay…"}
    </button>
    <p class="replay-outcome" role="status">
      ${outcome && `${plural(outcome.replayed, "delivery", "deliveries")} replayed${outcomeWords(outcome.verdicts)}.`}
      ${error && html`<span class="form-error">${error}</span>`}
    </p>
    <dialog
      class="dialog"
      ref=${dialog}
      aria-labelledby="replay-title"
      onClose=${() => dialog.current.returnValue === "yes" && replay()}
    >
      <h2 id="replay-title">${matching === 0 ? "Nothing to replay" : `${plural(matching, "delivery matches", "deliveries match")}. Replay?`}</h2>
      <p>
        ${
          matching === 0
            ? "No failed delivery matches these filters."
            : "Each is sent again as it came. What is accepted now becomes a call; no call is stored twice."
        }
      </p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no">${matching === 0 ? "Close" : "Cancel"}</button>
        ${matching > 0 && html`<button class="button button-main" value="yes">Replay ${count(matching)}</button>`}
      </form>
    </dialog>`;
}

const OUTCOMES = { created: "new", merged: "changed a call", duplicate: "known already", refused: "refused again", dead: "unusable" };

function outcomeWords(verdicts) {
  const parts = Object.entries(verdicts).map(([verdict, number]) => `${count(number)} ${OUTCOMES[verdict] ?? verdict}`);
  return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
}

function List({ log, filter }) {
  const nowMs = useNow(CLOCK_MS);
  if (log.items.length === 0) return html`<${Empty} isFiltered=${Object.keys(filter).length > 0} />`;
  return html`<ol class="delivery-list" role="list" aria-label="Deliveries, newest first" aria-busy=${log.isLoading ? "true" : null}>
      ${log.items.map((item) => html`<${DeliveryRow} key=${item.id} item=${item} sourceName=${log.sourceName(item.sourceId)} filter=${filter} nowMs=${nowMs} />`)}
    </ol>
    ${
      log.hasMore &&
      html`<button class="button" type="button" disabled=${log.isLoading} onClick=${() => log.loadMore()}>
        ${log.isLoading ? "Loading…" : "Show older"}
      </button>`
    }`;
}

function Empty({ isFiltered }) {
  return html`<div class="empty empty-page">
    <p class="empty-title">${isFiltered ? "No matching deliveries" : "No deliveries yet"}</p>
    <p class="muted">
      ${
        isFiltered
          ? "Refused deliveries are kept for 7 days, unusable ones for 30."
          : "What webhooks bring, and what the server refuses of other calls, appears here with its reason. It is kept for 7 days."
      }
    </p>
    ${isFiltered && html`<a class="button" href=${deliveriesHref()}>Show all deliveries</a>`}
  </div>`;
}
