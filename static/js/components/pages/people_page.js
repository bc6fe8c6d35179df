import { plural } from "../../format/number.js";
import { exactTime, relativeTime, shortTime } from "../../format/time.js";
import { html, useApp, useAsync, useDismiss, useEffect, useNow, useObservable, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";
import { Copy } from "./copy.js";
import { Invite, ROLES } from "./invite.js";
import { PageFailed } from "./page_failed.js";

const CLOCK_MS = 15_000;

/** The people of the organization: inviting them, their roles, their access. For admins. */
export function Content() {
  const { api, title } = useApp();
  const { value: people, error, reload } = useAsync((signal) => api.people({ signal }), []);
  const [link, setLink] = useState(null); // {user, path}: shown until another one is made
  const [isInviting, setInviting] = useState(false);
  const nowMs = useNow(CLOCK_MS);
  useEffect(() => title.show("People"), []);
  const made = (invited) => {
    setLink(invited);
    setInviting(false);
    reload();
  };
  const head = html`<header class="page-head people-head">
    <h2 class="page-title">People</h2>
    ${people && html`<button class="button button-main" type="button" aria-expanded=${isInviting ? "true" : "false"} onClick=${() => setInviting(!isInviting)}>Invite</button>`}
  </header>`;
  if (error && !people) return html`<${PageFailed} head=${head} error=${error} reload=${reload} />`;
  if (!people) return html`<${Loading} />`;
  return html`<div class="people">
    ${head}
    ${isInviting && html`<${Invite} onInvited=${made} onCancel=${() => setInviting(false)} />`}
    ${link && html`<${NewLink} key=${link.path} link=${link} close=${() => setLink(null)} />`}
    <ul class="person-list" role="list">
      ${people.map((person) => html`<${Person} key=${person.id} person=${person} nowMs=${nowMs} reload=${reload} onLink=${made} />`)}
    </ul>
  </div>`;
}

function NewLink({ link: { user, path }, close }) {
  const { fullName, status, linkExpiresAt } = user;
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const url = new URL(path, location.origin).href;
  return html`<section class="new-link" aria-labelledby="link-title">
    <h3 id="link-title" tabindex="-1" ref=${heading}>
      ${status === "invited" ? "Invitation of " : "New password for "}<bdi>${fullName}</bdi>
    </h3>
    <p>Send this link to them. It works once, until <time datetime=${linkExpiresAt} title=${exactTime(linkExpiresAt)}>${shortTime(linkExpiresAt, Date.now())}</time>, and is not shown again.</p>
    <p class="new-link-line">
      <code class="key" data-testid="link">${url}</code>
      <span class="new-link-actions"><${Copy} text=${url} label="Copy link" /><button class="button" type="button" onClick=${close}>Done</button></span>
    </p>
  </section>`;
}

function Person({ person, nowMs, reload, onLink }) {
  const { api, session } = useApp();
  const { id, fullName, email, role, status, disabled } = person;
  const isSelf = useObservable(session).user?.id === id;
  const [state, setState] = useState({ isBusy: false, error: null, done: null });
  const work = (run, done = null) => async () => {
    setState({ isBusy: true, error: null, done: null });
    try {
      await run();
      setState({ isBusy: false, error: null, done });
    } catch ({ message }) {
      setState({ isBusy: false, error: message, done: null });
    }
    reload();
  };
  const change = (values) => work(() => api.changePerson(id, values));
  const actions = [
    !disabled && [status === "invited" ? "New link" : "Reset password", work(async () => onLink(await api.resetPassword(id)))],
    status === "active" && ["End sessions", work(() => api.endSessions(id), "Signed out everywhere")],
    disabled ? ["Enable", change({ disabled: false })] : ["Disable", change({ disabled: true })],
  ].filter(Boolean);
  return html`<li class="person" data-user-id=${id} data-status=${status} aria-busy=${state.isBusy ? "true" : null}>
    <div class="person-who">
      <p class="person-name"><bdi>${fullName}</bdi>${isSelf && html` <span class="muted">(you)</span>`}</p>
      <p class="muted small"><bdi>${email}</bdi></p>
    </div>
    <p class="person-state small">${standing(person, nowMs)}</p>
    <select class="person-role" aria-label=${`Role of ${fullName}`} disabled=${state.isBusy} onChange=${({ target }) => change({ role: target.value })()}>
      ${ROLES.map(([value, text]) => html`<option value=${value} selected=${value === role}>${text}</option>`)}
    </select>
    <${Actions} name=${fullName} actions=${actions} isBusy=${state.isBusy} />
    <p class="person-note small" role="status">${state.done}</p>
    ${state.error && html`<p class="form-error person-note" role="alert">${state.error}</p>`}
  </li>`;
}

function standing({ status, lastSeenAt, sessions, linkExpiresAt }, nowMs) {
  if (status === "disabled") return html`<span class="person-tag">Disabled</span>`;
  if (status === "invited") {
    return html`<span class="person-tag">Invited</span><span class="muted">
      ${linkExpiresAt ? ` · link until ${shortTime(linkExpiresAt, nowMs)}` : " · the link has ended"}</span>`;
  }
  return html`<span class="muted">
    ${lastSeenAt ? `Seen ${relativeTime(lastSeenAt, nowMs)}` : "Not seen yet"}${sessions > 0 && ` · ${plural(sessions, "session")}`}
  </span>`;
}

function Actions({ name, actions, isBusy }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  useDismiss(root, isOpen, () => setOpen(false));
  return html`<div class="person-actions" ref=${root}>
    <button
      class="icon-button"
      type="button"
      aria-label=${`Actions for ${name}`}
      aria-expanded=${isOpen ? "true" : "false"}
      disabled=${isBusy}
      onClick=${() => setOpen(!isOpen)}
    >
      <${Icon} name="more" />
    </button>
    ${
      isOpen &&
      html`<div class="menu-panel" role="group" aria-label=${`Actions for ${name}`}>
        ${actions.map(
          ([text, run]) => html`<button
            class="menu-choice"
            type="button"
            onClick=${() => {
              setOpen(false);
              run();
            }}
          >
            ${text}
          </button>`,
        )}
      </div>`
    }
  </div>`;
}
