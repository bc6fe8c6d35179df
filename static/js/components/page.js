// The pages other than the list. Each is loaded when it is first opened.

import { withStylesheets } from "../browser/stylesheets.js";
import { html, useAsync } from "../ui.js";
import { Loading } from "./loading.js";

const PAGES = {
  contact: withStylesheets(["pages"], () => import("./pages/contact_page.js")),
  analytics: withStylesheets(["pages", "figures"], () => import("./pages/analytics_page.js")),
  deliveries: withStylesheets(["pages", "deliveries"], () => import("./pages/deliveries_page.js")),
  sources: withStylesheets(["pages", "developer", "deliveries", "sources"], () => import("./pages/sources_page.js")),
  "payload-test": withStylesheets(["pages", "developer", "deliveries", "call", "transcript", "tree", "sources"], () => import("./pages/payload_test_page.js")),
  audit: withStylesheets(["pages", "deliveries"], () => import("./pages/audit_page.js")),
  people: withStylesheets(["pages", "account"], () => import("./pages/people_page.js")),
  tokens: withStylesheets(["pages", "account"], () => import("./pages/tokens_page.js")),
  settings: withStylesheets(["pages", "account"], () => import("./pages/settings_page.js")),
  password: withStylesheets(["pages", "account"], () => import("./pages/password_page.js")),
  developer: withStylesheets(["pages", "developer"], () => import("./pages/developer_page.js")),
};

export function Page({ route }) {
  const { value, error, reload } = useAsync(PAGES[route.name], [route.name]);
  if (error) {
    return html`<div class="page">
      <div class="notice" role="alert">
        <p>Couldn't load this page. Check your connection.</p>
        <button class="button" type="button" onClick=${reload}>Try again</button>
      </div>
    </div>`;
  }
  return html`<div class="page">${value ? html`<${value.Content} key=${route.name === "contact" ? route.id : null} id=${route.id} filter=${route.filter} />` : html`<${Loading} />`}</div>`;
}
