import { THEMES } from "../browser/theme.js";
import { may } from "../state/session.js";
import { html, useApp, useDismiss, useObservable, useRef, useState } from "../ui.js";
import { ACCOUNT_LINKS } from "./account_links.js";
import { Icon } from "./icon.js";
import { showShortcuts } from "./shortcuts.js";

const THEME_NAMES = { system: "System", light: "Light", dark: "Dark" };

/** The name of the person who is signed in, which opens what belongs to the account. */
export function AccountMenu({ route }) {
  const { session } = useApp();
  const { user } = useObservable(session);
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const close = () => setOpen(false);
  useDismiss(root, isOpen, close);
  const name = user?.fullName || user?.email;
  return html`<div class="account" ref=${root}>
    <button
      class="account-button"
      type="button"
      aria-expanded=${isOpen ? "true" : "false"}
      aria-label=${`Account: ${name}`}
      title=${name}
      onClick=${() => setOpen(!isOpen)}
    >
      <${Icon} name="person" /><bdi class="account-name">${name}</bdi><${Icon} name="down" />
    </button>
    ${isOpen && html`<${Panel} route=${route} user=${user} close=${close} />`}
  </div>`;
}

function Panel({ route, user, close }) {
  const { session } = useApp();
  const [error, setError] = useState(null);
  const signOut = () => session.signOut().catch((failure) => setError(failure.message));
  const openShortcuts = () => {
    close();
    showShortcuts();
  };
  return html`<div class="menu-panel" role="group" aria-label="Account">
    <div class="account-who">
      <p class="menu-title"><bdi>${user?.fullName}</bdi></p>
      <p class="muted small"><bdi>${user?.email}</bdi></p>
    </div>
    <${ThemeChoice} />
    <div class="menu-part">
      ${ACCOUNT_LINKS.filter(({ needs }) => needs === null || may(user, needs)).map(
        ({ name, href, icon, text }) => html`<a
          class="menu-choice"
          href=${href}
          aria-current=${route.name === name ? "page" : null}
          onClick=${close}
        >
          <${Icon} name=${icon} />${text}
        </a>`,
      )}
      <button class="menu-choice" type="button" onClick=${openShortcuts}><${Icon} name="keyboard" />Keyboard shortcuts</button>
    </div>
    <div class="menu-part">
      <button class="menu-choice" type="button" onClick=${signOut}><${Icon} name="sign-out" />Sign out</button>
      ${error && html`<p class="form-error small" role="alert">${error}</p>`}
    </div>
  </div>`;
}

function ThemeChoice() {
  const { theme } = useApp();
  useObservable(theme);
  return html`<fieldset class="theme">
    <legend>Theme</legend>
    ${THEMES.map(
      (name) => html`<button
        class="tool"
        type="button"
        aria-pressed=${name === theme.chosen ? "true" : "false"}
        onClick=${() => theme.choose(name)}
      >
        ${THEME_NAMES[name]}
      </button>`,
    )}
  </fieldset>`;
}
