import { jsonLines } from "../../format/json_lines.js";
import { count, size } from "../../format/number.js";
import { parsePayload } from "../../format/payload.js";
import { exactTime, shortTime } from "../../format/time.js";
import { callHref, deliveriesHref } from "../../route.js";
import { html, useApp, useAsync, useEffect, useMemo, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";
import { JsonBody } from "./json_body.js";
import { PageFailed } from "./page_failed.js";
import { Trail } from "./trail.js";
import { Verdict } from "./verdict.js";

const KINDS = { ingest: "New call", amend: "Change of a call", webhook: "Webhook" };
const MAX_RAW_CHARS = 100_000;

/** One delivery: why it failed, its body with the faults beside it, every attempt, and its replay. */
export function DeliveryView({ id, log, filter }) {
  const { api, title } = useApp();
  const heading = useRef(null);
  const { value: delivery, error, reload } = useAsync((signal) => api.delivery(id, { signal }), [id]);
  useEffect(() => title.show("Delivery"), []);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [delivery !== null]);
  if (error?.status === 404) {
    return html`<${Back} filter=${filter} />
      <h2 class="page-title">Delivery not found</h2>
      <p class="muted" role="alert">It may have been removed: refused deliveries are kept for 7 days.</p>`;
  }
  if (error && !delivery) return html`<${PageFailed} head=${html`<${Back} filter=${filter} />`} error=${error} reload=${reload} />`;
  if (!delivery) return html`<${Loading} />`;
  const refresh = () => {
    reload();
    log.reload();
  };
  return html`<article class="delivery-view" aria-labelledby="delivery-title">
    <${Back} filter=${filter} />
    <header class="delivery-head">
      <h2 class="page-title" id="delivery-title" ref=${heading} tabindex="-1">
        ${KINDS[delivery.kind] ?? delivery.kind} from <bdi>${log.sourceName(delivery.sourceId)}</bdi>
      </h2>
      <${Replay} id=${id} refresh=${refresh} />
    </header>
    <${Facts} delivery=${delivery} />
    <${BodyAndFaults} delivery=${delivery} kind=${log.sourceKind(delivery.sourceId)} />
    <${Attempts} attempts=${delivery.attempts} />
  </article>`;
}

function Back({ filter }) {
  return html`<p><a class="back" href=${deliveriesHref(filter)}><${Icon} name="back" /> Deliveries</a></p>`;
}

function Facts({ delivery }) {
  const { verdict, at, requestId, bytes, times, callId } = delivery;
  const facts = [
    ["Result", html`<${Verdict} verdict=${verdict} />`],
    ["Received", html`<time datetime=${at} title=${exactTime(at)}>${shortTime(at, Date.now())}</time>`],
    ["Size", size(bytes)],
    ["Came", times > 1 && `${count(times)} times`],
    ["Request ID", requestId && html`<bdi class="mono">${requestId}</bdi>`],
    ["Call", callId && html`<a href=${callHref(callId)}>View call</a>`],
  ];
  return html`<dl class="delivery-facts">
    ${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function Replay({ id, refresh }) {
  const { api } = useApp();
  const [state, setState] = useState({ isBusy: false, outcome: null, error: null });
  const replay = async () => {
    setState({ isBusy: true, outcome: null, error: null });
    try {
      const outcome = await api.replayDelivery(id);
      setState({ isBusy: false, outcome, error: null });
      refresh();
    } catch ({ message }) {
      setState({ isBusy: false, outcome: null, error: message });
    }
  };
  const { isBusy, outcome, error } = state;
  return html`<button class="button button-main" type="button" disabled=${isBusy} onClick=${replay}>
      ${isBusy ? "Replaying…" : "Replay"}
    </button>
    <p class="replay-outcome" role="status">
      ${outcome && html`Replayed: <${Verdict} verdict=${outcome.verdict} /> `}
      ${outcome?.error && html`<span>${outcome.error}</span>`}
      ${outcome?.callId && html`<a href=${callHref(outcome.callId)}>View call</a>`}
      ${error && html`<span class="form-error">${error}</span>`}
    </p>`;
}

// The body, beside it what was wrong and how it was read.
function BodyAndFaults({ delivery, kind }) {
  const { api } = useApp();
  const { id, errors: faults, notes } = delivery;
  const { value, error, reload } = useAsync((signal) => api.deliveryBody(id, { signal }), [id]);
  const lines = useMemo(() => value && linesOf(value, kind), [value, kind]);
  const wrong = useMemo(() => new Map(faults.filter(({ field }) => field).map(({ field, error }) => [field, error])), [faults]);
  const root = useRef(null);
  const show = (field) => {
    const line = root.current.querySelector(`[data-path="${CSS.escape(field)}"]`);
    line?.scrollIntoView({ block: "center" });
    line?.focus({ preventScroll: true });
  };
  const paths = useMemo(() => new Set(lines?.map(({ path }) => path)), [lines]);
  return html`<div class="delivery-parts" ref=${root}>
    ${
      faults.length + notes.length > 0 &&
      html`<div class="delivery-beside">
        ${faults.length > 0 && html`<${Faults} faults=${faults} paths=${paths} show=${show} />`}
        ${
          notes.length > 0 &&
          html`<section aria-labelledby="notes-title">
            <h3 id="notes-title">How it was read</h3>
            <${Trail} notes=${notes} lines=${lines} body=${root} />
          </section>`
        }
      </div>`
    }
    <section aria-labelledby="body-title">
      <h3 id="body-title">Body</h3>
      ${
        error
          ? html`<div class="notice page-notice" role="alert">
              <p>${error.message}</p>
              ${error.status !== 404 && html`<button class="button" type="button" onClick=${reload}>Try again</button>`}
            </div>`
          : value === null && html`<p class="muted" role="status">Loading…</p>`
      }
      ${lines && html`<${JsonBody} lines=${lines} wrong=${wrong} label="Body as it was sent" />`}
      ${value && !lines && html`<${TextBody} text=${value.body} />`}
    </section>
  </div>`;
}

// Twilio's form is shown field by field, like JSON.
function linesOf({ body, isJson }, kind) {
  const value = isJson ? body : kind === "twilio" ? parsePayload(body, kind) : undefined;
  return value === undefined ? null : jsonLines(value);
}

function Faults({ faults, paths, show }) {
  return html`<section aria-labelledby="faults-title">
    <h3 id="faults-title">What was wrong</h3>
    <ol role="list">
      ${faults.map(
        ({ code, field, error: sentence }, index) => html`<li class="box fault" key=${index}>
          <p>${sentence}</p>
          <p class="small">
            <span class="mono muted">${code}</span>
            ${
              field &&
              paths.has(field) &&
              html` <button class="button button-small" type="button" onClick=${() => show(field)}>Show <bdi class="mono">${field}</bdi></button>`
            }
          </p>
        </li>`,
      )}
    </ol>
  </section>`;
}

function TextBody({ text }) {
  if (text === "") return html`<p class="muted">The body was empty.</p>`;
  const shown = text.length > MAX_RAW_CHARS ? `${text.slice(0, MAX_RAW_CHARS)}…` : text;
  return html`<pre class="snippet body-text" tabindex="0" role="region" aria-label="Body as it was sent">${shown}</pre>`;
}

function Attempts({ attempts }) {
  if (attempts.length < 2) return null;
  const latestFirst = [...attempts].reverse();
  return html`<section aria-labelledby="attempts-title">
    <h3 id="attempts-title">Attempts</h3>
    <div class="table-scroll" tabindex="0" role="region" aria-label="Attempts">
      <table>
        <thead><tr><th scope="col">Time</th><th scope="col">By</th><th scope="col">Result</th><th scope="col">Reason</th></tr></thead>
        <tbody>
          ${latestFirst.map(
            ({ at, by, verdict, error, callId }, index) => html`<tr key=${index}>
              <td><time datetime=${at} title=${exactTime(at)}>${shortTime(at, Date.now())}</time></td>
              <td>${by === "sender" ? "The sender" : "Replay"}</td>
              <td><${Verdict} verdict=${verdict} /></td>
              <td>${callId ? html`<a href=${callHref(callId)}>View call</a>` : (error ?? "")}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}
