import { contactLabel, directionWord, otherPhone } from "../../format/call.js";
import { clock, exactTime, shortTime, size, spokenLength } from "../../format/time.js";
import { phone } from "../../format/phone.js";
import { contactHref } from "../../route.js";
import { isEmpty } from "../../format/tree.js";
import { html } from "../../ui.js";
import { Icon } from "../icon.js";
import { Status } from "../call_status.js";
import { Tree } from "./tree.js";

/** Who called whom, when, and how it ended: what one looks for first. */
export function CallFacts({ call }) {
  const facts = [
    ["Status", html`<${Status} status=${call.status} />`],
    ["Length", html`<span title=${spokenLength(call.duration)}>${clock(call.duration)}</span>`],
    ["Began", html`<time datetime=${call.startTime} title=${exactTime(call.startTime)}>${shortTime(call.startTime)}</time>`],
    ["Agent", call.agentName && html`<bdi>${call.agentName}</bdi>`],
  ];
  return html`<div class="call-lead">
      <span class="row-direction" data-direction=${call.direction}>
        <${Icon} name=${call.direction === "inbound" ? "inbound" : "outbound"} />
      </span>
      <span>${directionWord(call)} call ${call.direction === "inbound" ? "from" : "to"} ${otherPhone(call)}</span>
      ${call.contactId && html`<a class="contact-link" href=${contactHref(call.contactId)}>All with ${contactLabel(call)}</a>`}
    </div>
    <${Facts} facts=${facts} />`;
}

/** The rest that is known of a call. */
export function Details({ call }) {
  const recording = call.recordings?.[0];
  const facts = [
    ["From", phone(call.from)],
    ["To", phone(call.to)],
    ["Recording", recording?.bytes && `${recording.contentType}, ${size(recording.bytes)}`],
    ["Vendor's id", call.providerCallId && html`<bdi class="mono">${call.providerCallId}</bdi>`],
  ];
  return html`<section class="call-section">
    <h3>Details</h3>
    <${Facts} facts=${facts} />
  </section>`;
}

function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** Whatever the vendor sent along. */
export function VendorData({ providerMetadata }) {
  const { metadata, extra } = providerMetadata ?? {};
  const parts = [
    ["Metadata", metadata],
    ["Other fields", extra],
  ].filter(([, value]) => !isEmpty(value));
  return parts.map(
    ([title, value]) => html`<section class="call-section" data-testid=${title === "Metadata" ? "metadata" : "extra"}>
      <h3>${title}</h3>
      <${Tree} value=${value} />
    </section>`,
  );
}
