import { serverAddress } from "../../browser/server_address.js";
import { codeSamples } from "../../format/code_samples.js";
import { developerHref } from "../../route.js";
import { html, useApp, useAsync } from "../../ui.js";
import { Copy } from "../pages/copy.js";

const HIDDEN_KEY = "tk_live_…";

/** What to do in an organization that has no call yet: a command that sends one. */
export function FirstCall() {
  const { api } = useApp();
  const { value: apiKey } = useAsync((signal) => api.apiKey({ signal }), []);
  const command = (key) => codeSamples(serverAddress(), key, "my-first-call")[0][1];
  return html`<section class="first-call" aria-labelledby="first-call-title">
    <h2 class="section-title" id="first-call-title">Send your first call</h2>
    <pre class="snippet" tabindex="0" role="region" aria-label="Command"><code>${command(HIDDEN_KEY)}</code></pre>
    <p class="first-call-actions">
      <${Copy} text=${apiKey && command(apiKey)} label="Copy with key" />
      <a href=${developerHref}>API key & developer</a>
      <a href="docs/vendor">Guide</a>
    </p>
  </section>`;
}
