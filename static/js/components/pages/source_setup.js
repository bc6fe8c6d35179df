import { exactTime, relativeTime, timeOfDay } from "../../format/time.js";
import { PROOFS, VENDORS } from "../../format/vendors.js";
import { reasonOf } from "../../format/verdicts.js";
import { callHref, deliveryHref } from "../../route.js";
import { VERDICTS } from "../../search/delivery_filter.js";
import { html, useEffect, useNow, useState } from "../../ui.js";
import { Copy } from "./copy.js";
import { SecretForm } from "./source_secrets.js";
import { Verdict } from "./verdict.js";
import { Words } from "./words.js";

const CLOCK_MS = 5_000;

/**
 * How a vendor is told to send here, step by step, up to its first delivery. Open until there is one.
 *
 * @param {{source: object, latest: object | null, onToggle: (isOpen: boolean) => void, reload: () => void}} props `latest`: delivery
 */
export function Setup({ source, latest, onToggle, reload }) {
  const [isOpen, setOpen] = useState(latest === null || source.secrets.length === 0);
  useEffect(() => onToggle(isOpen), [isOpen]);
  const vendor = VENDORS[source.kind];
  if (vendor === undefined) return null; // a kind that this page is too old for
  const address = new URL(source.webhookPath, location.origin).href;
  return html`<details class="setup" open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><h3>Set up ${vendor.name}</h3></summary>
    <p class="muted"><${Words} text=${vendor.brings} /></p>
    <ol class="setup-steps">
      <li>
        <h4>Copy this address</h4>
        <p class="key-line">
          <code class="key" data-testid="webhook-address">${address}</code>
          <${Copy} text=${address} label="Copy address" />
        </p>
      </li>
      <li>
        <h4>Enter it ${vendor.place ?? `at ${vendor.name}`}</h4>
        <ul class="setup-todo">
          ${vendor.steps.map((text) => html`<li key=${text}><${Words} text=${text} /></li>`)}
        </ul>
        ${vendor.code && html`<${Code} text=${vendor.code.replace("ADDRESS", address)} name=${vendor.name} />`}
        <p><${Words} text=${vendor.eventsHint} /></p>
        <ul class="setup-events" aria-label="Events" role="list">
          ${vendor.events.map((event) => html`<li key=${event}><code class="mono">${event}</code></li>`)}
        </ul>
        ${vendor.also && html`<p class="muted small"><${Words} text=${vendor.also} /></p>`}
      </li>
      <li>
        <h4>Enter the ${lowerFirst(vendor.secret.label)} here</h4>
        <p><${Words} text=${vendor.secret.where} /></p>
        ${source.settings.proof && html`<p><${Words} text=${PROOFS[source.settings.proof].text} /> Another kind of proof can be chosen in the settings below.</p>`}
        <${SecretForm} source=${source} secret=${vendor.secret} reload=${reload} />
      </li>
      <li>
        <h4>See the first call arrive</h4>
        <${Arrivals} source=${source} latest=${latest} />
      </li>
    </ol>
  </details>`;
}

const lowerFirst = (text) => (/^[A-Z][a-z]/.test(text) ? text[0].toLowerCase() + text.slice(1) : text);

function Code({ text, name }) {
  return html`<pre class="snippet" tabindex="0" role="region" aria-label=${`Request to ${name}`}><code>${text}</code></pre>
    <p><${Copy} text=${text} label="Copy request" /></p>`;
}

// What came last: a delivery, or a request that was refused because nothing proved its origin. Screen readers are told of it
// once, without the time that goes on.
function Arrivals({ source, latest }) {
  const nowMs = useNow(CLOCK_MS);
  const { lastRefusedAt = null } = source;
  const isRefusal = lastRefusedAt !== null && (latest === null || lastRefusedAt > latest.at);
  const [at, verdict, reason] = isRefusal
    ? [lastRefusedAt, "refused", refusalReason(source)]
    : [latest?.at, latest?.verdict, latest && reasonOf(latest)];
  const isReady = source.enabled && source.secrets.length > 0;
  return html`<div class="arrivals">
    <p class="visually-hidden" role="status">${at && `${VERDICTS[verdict] ?? verdict}, ${timeOfDay(at)}. ${reason}`}</p>
    ${
      at &&
      html`<p>
          <${Verdict} verdict=${verdict} /> <time class="muted" datetime=${at} title=${exactTime(at)}>${relativeTime(at, nowMs)}</time>
          ${!isRefusal && html` · <a href=${deliveryHref(latest.id)}>View delivery</a>`}
          ${!isRefusal && latest.callId && html` · <a href=${callHref(latest.callId)}>View call</a>`}
        </p>
        ${reason && html`<p>${reason}</p>`}`
    }
    <p class="muted arrivals-waiting">
      ${isReady && html`<span class="arrivals-pulse" aria-hidden="true"></span>`}
      ${waitingFor(source, latest)}
    </p>
  </div>`;
}

function refusalReason({ secrets, refused }) {
  const causes = Object.keys(refused);
  if (secrets.length === 0) return "There is no secret yet, so nothing can be proven.";
  return causes.length === 1 ? reasonOf({ code: causes[0] }) : "Nothing proved that it came from the vendor: the causes are below.";
}

function waitingFor({ enabled, secrets }, latest) {
  if (!enabled) return "The source is disabled: everything is refused.";
  if (secrets.length === 0) return "Until there is a secret, everything is refused.";
  return latest === null ? "Waiting for the first delivery. Make a call, or send a test from the vendor's console." : "Waiting for the next one.";
}
