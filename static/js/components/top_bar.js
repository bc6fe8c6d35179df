import { analyticsHref, deliveriesHref, listHref } from "../route.js";
import { html, useApp, useObservable } from "../ui.js";
import { AccountMenu } from "./account_menu.js";
import { ConnectionStatus } from "./connection_status.js";
import { Icon } from "./icon.js";

const LINKS = [
  { names: ["list", "call", "contact"], href: null, icon: "calls", text: "Calls" },
  { names: ["analytics"], href: analyticsHref(), icon: "analytics", text: "Analytics" },
  { names: ["deliveries", "sources", "payload-test"], href: deliveriesHref(), icon: "inbox", text: "Deliveries", isForAdmins: true },
];

/** The bar at the top: pages, connection status, account. */
export function TopBar({ route }) {
  const { feed, session } = useApp();
  const isAdmin = useObservable(session).user?.accessRole === "admin";
  return html`<header class="bar">
    <h1 class="brand"><a href=${listHref()}>tether</a></h1>
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
    <${AccountMenu} route=${route} />
  </header>`;
}
