// The pages beside the calls. Each is loaded when it is first opened, so that the list does not wait for them.

import { withStyles } from "../browser/stylesheets.js";
import { html, useLoaded } from "../ui.js";
import { Loading } from "./loading.js";

const PAGES = {
  contact: withStyles(["pages"], () => import("./pages/contact_page.js")),
  numbers: withStyles(["pages"], () => import("./pages/analytics_page.js")),
  developer: withStyles(["pages", "developer"], () => import("./pages/developer_page.js")),
};

export function Page({ route }) {
  const { value, error, again } = useLoaded(PAGES[route.name], [route.name]);
  if (error) {
    return html`<div class="page">
      <div class="notice" role="alert">
        <p>This page could not be loaded. Check the connection.</p>
        <button class="button" type="button" onClick=${again}>Try again</button>
      </div>
    </div>`;
  }
  return html`<div class="page">${value ? html`<${value.Content} id=${route.id} />` : html`<${Loading} />`}</div>`;
}
