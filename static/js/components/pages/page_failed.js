import { html } from "../../ui.js";

/** Below the head of a page that could not be loaded: the server's sentence, and a retry unless it is a matter of permission. */
export function PageFailed({ head, error, reload }) {
  const isForbidden = error.status === 403;
  return html`${head}
    <div class="notice page-notice" role="alert">
      <p>${error.message}</p>
      ${!isForbidden && html`<button class="button" type="button" onClick=${reload}>Try again</button>`}
    </div>`;
}
