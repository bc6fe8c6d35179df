import { developerHref, listHref, numbersHref } from "../route.js";
import { html, useParts, useState, useWatched } from "../ui.js";
import { Connection } from "./connection_status.js";
import { Icon } from "./icon.js";

const PLACES = [
  { names: ["list", "call", "contact"], href: null, icon: "calls", text: "Calls" },
  { names: ["numbers"], href: numbersHref, icon: "numbers", text: "Numbers" },
  { names: ["developer"], href: developerHref, icon: "code", text: "Developer" },
];

/** The line on top: where one is, how one is connected, who one is. */
export function Bar({ route }) {
  const { desk } = useParts();
  return html`<header class="bar">
    <h1 class="brand">tether</h1>
    <nav class="places" aria-label="Pages">
      ${PLACES.map(
        ({ names, href, icon, text }) => html`<a
          class="place"
          href=${href ?? listHref(desk.filter)}
          aria-current=${names.includes(route.name) ? "page" : null}
        >
          <${Icon} name=${icon} />
          <span>${text}</span>
        </a>`,
      )}
    </nav>
    <${Connection} live=${desk.live} />
    <${Account} />
  </header>`;
}

function Account() {
  const { session } = useParts();
  const [error, setError] = useState(null);
  const { user } = useWatched(session);
  const signOut = () => session.signOut().catch((failure) => setError(failure.message));
  return html`<div class="account">
    ${error && html`<span class="account-error" role="alert">${error}</span>`}
    <bdi class="account-name" title=${user?.email}>${user?.fullName ?? user?.email}</bdi>
    <button class="button button-quiet" type="button" onClick=${signOut}>Sign out</button>
  </div>`;
}
