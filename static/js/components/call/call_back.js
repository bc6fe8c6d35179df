// What to do about a call in which nobody talked: call back, and see what other calls there were with the contact.

import { dialHref, otherNumber, otherPhone } from "../../format/call.js";
import { plural } from "../../format/number.js";
import { clock, exactTime, shortTime } from "../../format/time.js";
import { callHref, contactHref } from "../../route.js";
import { html, useApp, useAsync } from "../../ui.js";
import { CallStatus } from "../call_status.js";
import { Icon } from "../icon.js";

const SHOWN = 5;

/** @param {{call: object}} props a call that is not completed */
export function CallBack({ call }) {
  const href = dialHref(otherNumber(call));
  return html`<section class="call-section" data-testid="call-back">
    ${
      href &&
      html`<a class="button button-main button-icon call-back" href=${href}>
        <${Icon} name="phone" /><span>Call back <bdi>${otherPhone(call)}</bdi></span>
      </a>`
    }
    ${call.contactId && html`<${OtherCalls} call=${call} />`}
  </section>`;
}

function OtherCalls({ call: { callId, contactId } }) {
  const { api } = useApp();
  const params = new URLSearchParams({ contactId, limit: SHOWN + 1 });
  const { value } = useAsync((signal) => api.history(params, { signal }), [contactId]);
  const others = value?.calls.filter((other) => other.callId !== callId).slice(0, SHOWN) ?? [];
  if (others.length === 0) return null;
  return html`<h3>Other calls with this contact</h3>
    <ul class="other-calls" role="list">
      ${others.map(
        (other) => html`<li key=${other.callId}>
          <a href=${callHref(other.callId)}>
            <span class="row-direction" data-direction=${other.direction}>
              <${Icon} name=${other.direction === "inbound" ? "inbound" : "outbound"} />
            </span>
            <time datetime=${other.startTime} title=${exactTime(other.startTime)}>${shortTime(other.startTime, Date.now())}</time>
            <${CallStatus} status=${other.status} />
            <span class="muted">${other.duration >= 1 && clock(other.duration)}</span>
            <span class="other-summary muted" dir="auto" title=${other.summary}>${other.summary}</span>
          </a>
        </li>`,
      )}
    </ul>
    <p><a href=${contactHref(contactId)}>All ${plural(value.total, "call")} with this contact</a></p>`;
}
