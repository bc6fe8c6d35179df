import { directionLabel, hasRecording, party } from "../../format/call.js";
import { plural } from "../../format/number.js";
import { clock, dayName, exactTime, timeOfDay } from "../../format/time.js";
import { callHref, listHref } from "../../route.js";
import { ContactThread } from "../../state/contact_thread.js";
import { html, useApp, useEffect, useMemo, useObservable, useRef, useState } from "../../ui.js";
import { CallStatus } from "../call_status.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";

const DELAY_MS = 150; // several calls at once cause one refresh
const REFRESHING = new Set(["fetch_messages", "call_updated", "call_recording_ready", "recording_failed"]);

/** A contact: all their calls and messages as one thread, updated live. */
export function Content({ id }) {
  const { api, feed, title } = useApp();
  const thread = useMemo(() => new ContactThread(api, id), [api, id]);
  useObservable(thread);
  useEffect(() => {
    let timer = null;
    thread.refresh();
    const stop = feed.listen(({ event, data }) => {
      if (!REFRESHING.has(event) || data.contactId !== id) return;
      clearTimeout(timer);
      timer = setTimeout(() => thread.refresh(), DELAY_MS);
    });
    return () => {
      stop();
      clearTimeout(timer);
      thread.stop();
    };
  }, [thread, feed]);
  const { contact, items, error, isLoading, hasMore } = thread;
  useEffect(() => title.show(contact?.name ?? "Contact"), [contact?.name]);

  if (error?.status === 404) {
    return html`<h2 class="page-title">Contact not found</h2>
      <p class="muted" role="alert">The link may be incomplete, or the contact may belong to another organization.</p>`;
  }
  if (!contact && !error) return html`<${Loading} />`;
  return html`<article class="contact">
    <p><a class="back" href=${listHref(feed.filter)}><${Icon} name="back" /> Calls</a></p>
    ${contact && html`<${ContactHead} thread=${thread} />`}
    ${
      error &&
      html`<div class="notice" role="alert">
        <p>${error.message}</p>
        <button class="button" type="button" onClick=${() => thread.refresh()}>Try again</button>
      </div>`
    }
    <${Items} items=${items} />
    ${
      hasMore &&
      html`<button class="button" type="button" disabled=${isLoading} onClick=${() => thread.loadMore()}>
        ${isLoading ? "Loading…" : "Show older"}
      </button>`
    }
  </article>`;
}

function ContactHead({ thread }) {
  const { feed } = useApp();
  const { contact, items, hasMore } = thread;
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
      if (name !== "" && name !== contact.name) {
        await thread.rename(name);
        feed.calls.rename(contact.contactId, thread.contact.name);
      }
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
            <button class="tool" type="button" ref=${button} onClick=${() => setEditing(true)}>
              <${Icon} name="pencil" /><span>Rename</span>
            </button>`
    }
    ${error && html`<p class="form-error" role="alert">${error}</p>`}
    <p class="muted contact-number">${party(contact.number ?? null)} · ${hasMore ? "last " : ""}${plural(items.length, "entry", "entries")}</p>
  </header>`;
}

function Items({ items }) {
  const days = new Map();
  for (const item of items) {
    const day = dayName(item.createdAt);
    days.set(day, [...(days.get(day) ?? []), item]);
  }
  return [...days].map(
    ([day, ofDay]) => html`<section class="thread-day" key=${day} aria-label=${day}>
      <h3>${day}</h3>
      <ol class="thread">
        ${ofDay.map((item) => html`<${Item} key=${item.messageId} item=${item} />`)}
      </ol>
    </section>`,
  );
}

function Item({ item }) {
  const { call, content, createdAt, direction, callId } = item;
  const when = html`<time datetime=${createdAt} title=${exactTime(createdAt)}>${timeOfDay(createdAt)}</time>`;
  if (!callId) {
    return html`<li class="thread-item" data-direction=${direction}>
      <p class="thread-text" dir="auto">${content}</p>
      <p class="thread-facts">${when}</p>
    </li>`;
  }
  const known = call ?? { direction };
  return html`<li class="thread-item" data-direction=${direction} data-call-id=${callId}>
    <a class="thread-call" href=${callHref(callId)}>
      <span class="row-direction" data-direction=${direction}>
        <${Icon} name=${direction === "inbound" ? "inbound" : "outbound"} />
      </span>
      <span>${directionLabel(known)} call</span>
      ${call && html`<${CallStatus} status=${call.status} />`}
      ${call && hasRecording(call) && html`<${Icon} name="recording" /><span class="visually-hidden">Recorded</span>`}
    </a>
    ${content && html`<p class="thread-text" dir="auto">${content}</p>`}
    <p class="thread-facts">
      ${when}${call?.duration > 0 && html` · ${clock(call.duration)}`}${call?.agentName && html` · <bdi>${call.agentName}</bdi>`}
    </p>
  </li>`;
}
