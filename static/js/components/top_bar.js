import { analyticsHref, deliveriesHref, developerHref, listHref } from "../route.js";
import { html, useApp, useObservable, useState } from "../ui.js";
import { ConnectionStatus } from "./connection_status.js";
import { Icon } from "./icon.js";

const LINKS = [
  { names: ["list", "call", "contact"], href: null, icon: "calls", text: "Calls" },
  { names: ["analytics"], href: analyticsHref, icon: "analytics", text: "Analytics" },
  { names: ["developer"], href: developerHref, icon: "code", text: "Developer" },
  { names: ["deliveries", "sources", "payload-test"], href: deliveriesHref(), icon: "inbox", text: "Deliveries", isForAdmins: true },
];

/** The bar at the top: pages, connection status, account. */
export function TopBar({ route }) {
  const { feed, session } = useApp();
  const isAdmin = useObservable(session).user?.accessRole === "admin";
  return html`<header class="bar">
    <h1 class="brand">tether</h1>
    <nav class="nav" aria-label="Main">
      ${LINKS.filter(({ isForAdmins }) => !isForAdmins || isAdmin).map(
        ({ names, href, icon, text }) => html`<a
          class="nav-link"
          href=${href ?? listHref(feed.filter)}
          aria-current=${names.includes(route.name) ? "page" : null}
        >
          <${Icon} name=${icon} />
          <span>${text}</span>
        </a>`,
      )}
    </nav>
    <${ConnectionStatus} live=${feed.live} />
    <${Account} />
  </header>`;
}

function Account() {
  const { session } = useApp();
  const [error, setError] = useState(null);
  const { user } = useObservable(session);
  const signOut = () => session.signOut().catch((failure) => setError(failure.message));
  return html`<div class="account">
    ${error && html`<span class="account-error" role="alert">${error}</span>`}
    <bdi class="account-name" title=${user?.email}>${user?.fullName ?? user?.email}</bdi>
    <button class="button button-quiet" type="button" onClick=${signOut}>Sign out</button>
  </div>`;
}
