import { directionLabel, hasRecording, party } from "../../format/call.js";
import { percent, plural } from "../../format/number.js";
import { clock, exactTime, shortTime, spokenDuration } from "../../format/time.js";
import { callHref, listHref } from "../../route.js";
import { ContactCalls } from "../../state/contact_calls.js";
import { may } from "../../state/session.js";
import { html, useApp, useEffect, useMemo, useObservable, useRef, useState } from "../../ui.js";
import { CallStatus } from "../call_status.js";
import { Erase } from "../erase.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";

const DELAY_MS = 150; // several calls at once cause one refresh
const REFRESHING = new Set(["fetch_messages", "call_updated", "call_recording_ready", "recording_failed", "contact_updated", "call_deleted", "contact_deleted"]);

/** A contact: all their calls by when they were, updated live. */
export function Content({ id }) {
  const { api, feed, title } = useApp();
  const known = useMemo(() => new ContactCalls(api, id), [api, id]);
  useObservable(known);
  useEffect(() => {
    let timer = null;
    known.refresh();
    const stop = feed.listen(({ event, data }) => {
      if (!REFRESHING.has(event) || data.contactId !== id) return;
      if (event === "call_deleted") known.forget(data.callId);
      clearTimeout(timer);
      timer = setTimeout(() => known.refresh(), DELAY_MS);
    });
    return () => {
      stop();
      clearTimeout(timer);
      known.stop();
    };
  }, [known, feed]);
  const { contact, calls, error, isLoading, hasMore } = known;
  useEffect(() => title.show(contact?.name ?? "Contact"), [contact?.name]);

  if (error?.status === 404 && contact) {
    return html`<h2 class="page-title">Contact erased</h2>
      <p class="muted" role="status">This contact was erased for good, with all its calls.</p>`;
  }
  if (error?.status === 404) {
    return html`<h2 class="page-title">Contact not found</h2>
      <p class="muted" role="alert">The link may be incomplete, or the contact may belong to another organization.</p>`;
  }
  if (!contact && !error) return html`<${Loading} />`;
  return html`<article class="contact">
    <p><a class="back" href=${listHref(feed.filter)}><${Icon} name="back" /> Calls</a></p>
    ${contact && html`<${ContactHead} known=${known} />`}
    ${
      error &&
      html`<div class="notice" role="alert">
        <p>${error.message}</p>
        <button class="button" type="button" onClick=${() => known.refresh()}>Try again</button>
      </div>`
    }
    <${Calls} calls=${calls} />
    ${
      hasMore &&
      html`<button class="button" type="button" disabled=${isLoading} onClick=${() => known.loadMore()}>
        ${isLoading ? "Loading…" : "Show older"}
      </button>`
    }
  </article>`;
}

function ContactHead({ known }) {
  const { contact } = known;
  const mayRename = may(useObservable(useApp().session).user, "rename");
  const [isEditing, setEditing] = useState(false);
  const [error, setError] = useState(null);
  const button = useRef(null);
  const input = useRef(null);
  useEffect(() => {
    if (isEditing) input.current.select();
  }, [isEditing]);
  const stop = () => {
    setEditing(false);
    setError(null);
    requestAnimationFrame(() => button.current?.focus());
  };

  async function save(event) {
    event.preventDefault();
    const name = input.current.value.trim();
    try {
      if (name !== "" && name !== contact.name) await known.rename(name);
      stop();
    } catch (failure) {
      setError(failure.message);
    }
  }

  return html`<header class="contact-head">
    ${
      isEditing
        ? html`<form class="rename" onSubmit=${save}>
            <label>
              <span class="visually-hidden">Name</span>
              <input
                ref=${input}
                value=${contact.name}
                maxlength="200"
                required
                dir="auto"
                onKeyDown=${(event) => event.key === "Escape" && (event.preventDefault(), stop())}
              />
            </label>
            <button class="button button-main" type="submit">Save</button>
            <button class="button" type="button" onClick=${stop}>Cancel</button>
          </form>`
        : html`<h2 class="page-title" dir="auto">${contact.name}</h2>
            ${mayRename && html`<button class="tool" type="button" ref=${button} onClick=${() => setEditing(true)}>
              <${Icon} name="pencil" /><span>Rename</span>
            </button>`}
            <${Erase}
              what="contact"
              consequences="The contact goes with all its calls, their recordings, transcripts and messages, here and on every dashboard."
              erase=${() => known.erase()}
            />`
    }
    ${error && html`<p class="form-error" role="alert">${error}</p>`}
    <p class="muted contact-number">${factsOf(known).join(" · ")}</p>
  </header>`;
}

function factsOf({ contact, figures: { total, answered, firstAt, lastAt } }) {
  const on = (startTime) => shortTime(startTime, Date.now());
  return [
    party(contact.number ?? null),
    plural(total, "call"),
    total > 0 && `${percent(answered / total)} answered`,
    total > 1 && `first ${on(firstAt)}`,
    total > 0 && `last ${on(lastAt)}`,
  ].filter(Boolean);
}

function Calls({ calls }) {
  if (calls.length === 0) return null;
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Calls with this contact">
    <table class="contact-calls" role="table">
      <thead role="rowgroup">
        <tr role="row">
          ${["Started", "Status", "Duration", "Agent", "Summary"].map((name) => html`<th scope="col" role="columnheader">${name}</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">${calls.map((call) => html`<${Call} key=${call.callId} call=${call} />`)}</tbody>
    </table>
  </div>`;
}

function Call({ call }) {
  const { callId, direction, startTime, status, duration, agentName, summary } = call;
  // The roles: on a narrow screen each row is laid out as a card, and would no longer be a row to a screen reader.
  return html`<tr class="contact-call" data-call-id=${callId} role="row">
    <th scope="row" role="rowheader">
      <a href=${callHref(callId)} title=${exactTime(startTime)}>
        <span class="row-direction" data-direction=${direction}>
          <${Icon} name=${direction === "inbound" ? "inbound" : "outbound"} />
          <span class="visually-hidden">${directionLabel(call)}</span>
        </span>
        <time datetime=${startTime}>${shortTime(startTime, Date.now())}</time>
      </a>
    </th>
    <td role="cell">
      <${CallStatus} status=${status} />
      ${hasRecording(call) && html` <${Icon} name="recording" /><span class="visually-hidden">Recorded</span>`}
    </td>
    <td role="cell">${duration > 0 && html`<span title=${spokenDuration(duration)}>${clock(duration)}</span>`}</td>
    <td role="cell" class="contact-agent"><bdi>${agentName}</bdi></td>
    <td role="cell" class="contact-summary" dir="auto">${summary}</td>
  </tr>`;
}
