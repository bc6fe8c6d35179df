import { deliveriesHref, payloadTestHref, sourcesHref } from "../../route.js";
import { html } from "../../ui.js";

const PAGES = [
  ["deliveries", "Deliveries", deliveriesHref()],
  ["sources", "Sources", sourcesHref],
  ["payload-test", "Test a payload", payloadTestHref()],
];

/** The head of the pages about what calling systems send. */
export function AdminNav({ current }) {
  return html`<header class="page-head admin-head">
    <h2 class="page-title">${PAGES.find(([name]) => name === current)[1]}</h2>
    <nav class="switch" aria-label="Calling systems">
      ${PAGES.map(
        ([name, text, href]) => html`<a class="tool" href=${href} aria-current=${name === current ? "page" : null}>${text}</a>`,
      )}
    </nav>
  </header>`;
}
