import { count, size } from "../../format/number.js";
import { exactTime, relativeTime } from "../../format/time.js";
import { reasonOf } from "../../format/verdicts.js";
import { callHref, deliveryHref } from "../../route.js";
import { html } from "../../ui.js";
import { Verdict } from "./verdict.js";

/** One delivery of a list. `sourceName`: null where the list is of one source. */
export function DeliveryRow({ item, sourceName, filter, nowMs }) {
  const { id, at, verdict, bytes, callId, times } = item;
  const reason = reasonOf(item);
  return html`<li class="delivery" data-delivery-id=${id}>
    <a class="delivery-link" href=${deliveryHref(id, filter)}>
      <time class="muted" datetime=${at} title=${exactTime(at)}>${relativeTime(at, nowMs)}</time>
      <${Verdict} verdict=${verdict} />
      ${sourceName !== null && html`<bdi class="delivery-source">${sourceName}</bdi>`}
      <span class="delivery-error" title=${reason}>${reason}</span>
      <span class="delivery-size muted">${times > 1 ? `${count(times)} times` : size(bytes)}</span>
    </a>
    ${callId ? html`<a class="delivery-call" href=${callHref(callId)}>View call</a>` : html`<span class="delivery-call"></span>`}
  </li>`;
}
