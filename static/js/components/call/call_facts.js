import { bothPhones, dialHref, directionLabel, otherNumber, otherPhone, warningsShown } from "../../format/call.js";
import { size } from "../../format/number.js";
import { outcomeFacts } from "../../format/outcome.js";
import { clock, exactTime, shortTime, spokenDuration } from "../../format/time.js";
import { isEmpty } from "../../format/tree.js";
import { contactHref } from "../../route.js";
import { html } from "../../ui.js";
import { Icon } from "../icon.js";
import { CallStatus } from "../call_status.js";
import { CopyIcon } from "../copying.js";
import { ChangedMark } from "./history.js";
import { Tree } from "./tree.js";

/** The most important facts: who called whom, when, and how the call ended. */
export function CallFacts({ call }) {
  const facts = [
    ["Status", html`<${CallStatus} status=${call.status} />`],
    ["Duration", html`<span title=${spokenDuration(call.duration)}>${clock(call.duration)}</span>`],
    ["Started", html`<time datetime=${call.startTime} title=${exactTime(call.startTime)}>${shortTime(call.startTime, Date.now())}</time>`],
    ["Agent", call.agentName && html`<bdi title=${call.agentName}>${call.agentName}</bdi>`],
  ];
  return html`<div class="call-lead">
      <span class="row-direction" data-direction=${call.direction}>
        <${Icon} name=${call.direction === "inbound" ? "inbound" : "outbound"} />
      </span>
      <span>${directionLabel(call)} call ${call.direction === "inbound" ? "from" : "to"} <${OtherNumber} call=${call} /></span>
      ${call.history?.length > 0 && html`<${ChangedMark} />`}
      ${call.contactId && html`<a class="contact-link" href=${contactHref(call.contactId)}
          aria-label="View contact"><span class="only-wide">View contact</span><span class="only-narrow">Contact</span></a>`}
    </div>
    <div class="lead-facts"><${Facts} facts=${facts} /></div>`;
}

function OtherNumber({ call }) {
  const number = otherNumber(call);
  if (number === null) return "a withheld number";
  const href = dialHref(number);
  const text = html`<bdi>${otherPhone(call)}</bdi>`;
  return html`${href ? html`<a class="quiet-link" href=${href} title="Call this number">${text}</a>` : text}
    <${CopyIcon} text=${number} label="Copy number" />`;
}

/** The same facts in one line, for the head of the page while they are scrolled out of sight. */
export function FactStrip({ call }) {
  const facts = [
    html`<${CallStatus} status=${call.status} />`,
    clock(call.duration),
    shortTime(call.startTime, Date.now()),
    call.agentName && html`<bdi>${call.agentName}</bdi>`,
  ].filter(Boolean);
  return html`<p class="fact-strip small" aria-hidden="true">
    ${facts.map((fact, index) => html`${index > 0 && " · "}${fact}`)}
  </p>`;
}

/** What the server found odd about the call. */
export function Warnings({ call }) {
  const warnings = warningsShown(call);
  if (warnings.length === 0) return null;
  return html`<section class="box call-warnings" aria-label="Warnings">
    <${Icon} name="warning" />
    <ul role="list">
      ${warnings.map(({ code, field, message }) => html`<li key=${`${code} ${field}`}>${message}</li>`)}
    </ul>
  </section>`;
}

/** What the vendor says came of the call. */
export function Outcome({ outcome }) {
  const facts = outcomeFacts(outcome);
  if (facts.length === 0) return null;
  return html`<section class="call-section" data-testid="outcome">
    <h3>Outcome</h3>
    <${Facts} facts=${facts.map(([name, text]) => [name, html`<span dir="auto">${text}</span>`])} />
  </section>`;
}

/** What the vendor did not send of the call. */
export function Missing({ missing }) {
  if (!missing || missing.length === 0) return null;
  return html`<p class="muted" data-testid="missing">Not sent by the vendor: ${missing.join(", ")}.</p>`;
}

/** The other facts. */
export function Details({ call }) {
  const recording = call.recordings?.[0];
  const phones = bothPhones(call);
  const facts = [
    ["Caller name", call.callerName && call.callerName !== call.contactName && html`<bdi>${call.callerName}</bdi>`],
    ["From", html`<bdi>${phones.from}</bdi>`],
    ["To", html`<bdi>${phones.to}</bdi>`],
    ["Recording", recording?.bytes && `${recording.contentType}, ${size(recording.bytes)}`],
    ["Received from", call.sourceName && html`<bdi>${call.sourceName}</bdi>`],
    ["Call ID", call.callId && html`<${Id} id=${call.callId} label="Copy call ID" />`],
    ["External ID", call.providerCallId && html`<${Id} id=${call.providerCallId} label="Copy external ID" />`],
  ];
  return html`<section class="call-section">
    <h3>Details</h3>
    <${Facts} facts=${facts} />
  </section>`;
}

function Id({ id, label }) {
  return html`<bdi class="mono">${id}</bdi> <${CopyIcon} text=${id} label=${label} />`;
}

function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** The data that the vendor sent in addition. */
export function VendorData({ providerMetadata }) {
  const { metadata, extra } = providerMetadata ?? {};
  const parts = [
    ["Metadata", metadata],
    ["Other fields", extra],
  ].filter(([, value]) => !isEmpty(value));
  return parts.map(
    ([title, value]) => html`<section class="call-section" data-testid=${title === "Metadata" ? "metadata" : "extra"}>
      <div class="section-head">
        <h3>${title}</h3>
        <${CopyIcon} text=${JSON.stringify(value, null, 2)} label="Copy JSON" />
      </div>
      <${Tree} value=${value} />
    </section>`,
  );
}
