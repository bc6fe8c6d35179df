import { analyticsHref, deliveriesHref, listHref } from "../route.js";
import { may } from "../state/session.js";
import { html, useApp, useObservable } from "../ui.js";
import { AccountMenu } from "./account_menu.js";
import { ConnectionStatus } from "./connection_status.js";
import { Icon } from "./icon.js";

const LINKS = [
  { names: ["list", "call", "contact"], href: null, icon: "calls", text: "Calls" },
  { names: ["analytics"], href: analyticsHref(), icon: "analytics", text: "Analytics" },
  { names: ["deliveries", "sources", "payload-test"], href: deliveriesHref(), icon: "inbox", text: "Deliveries", needs: "manage_deliveries" },
];

/** The bar at the top: pages, connection status, account. */
export function TopBar({ route }) {
  const { feed, session } = useApp();
  const { user } = useObservable(session);
  return html`<header class="bar">
    <h1 class="brand"><a href=${listHref()}>tether</a></h1>
    <nav class="nav" aria-label="Main">
      ${LINKS.filter(({ needs }) => !needs || may(user, needs)).map(
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
    ${user?.organization && html`<bdi class="bar-organization" title=${user.organization.name}>${user.organization.name}</bdi>`}
    <${AccountMenu} route=${route} />
  </header>`;
}
