import { plural } from "../../format/number.js";
import { historyParams, serializeFilter } from "../../search/filter.js";
import { may } from "../../state/session.js";
import { html, useApp, useObservable } from "../../ui.js";
import { Icon } from "../icon.js";
import { AlertMenu } from "./alert_menu.js";

/** The number of calls, and the actions that apply to all of them. */
export function Toolbar({ filter }) {
  const { feed, session } = useApp();
  const { user } = useObservable(session);
  const { total, totalIsExact } = useObservable(feed.calls);
  const { isPaused } = useObservable(feed);
  const params = historyParams(filter, Date.now());
  if (!params.has("timeZone")) params.set("timeZone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  return html`<div class="list-tools">
    <p class="list-count" role="status">
      ${total === null ? "" : totalIsExact ? plural(total, "call") : `More than ${plural(total, "call")}`}
    </p>
    <button
      class="tool"
      type="button"
      title=${isPaused ? "Show new calls as they arrive" : "Hold back new calls"}
      data-on=${isPaused ? "" : null}
      onClick=${() => feed.setPaused(!isPaused)}
    >
      <${Icon} name=${isPaused ? "play" : "pause"} /><span>${isPaused ? "Resume" : "Pause"}</span>
    </button>
    <${AlertMenu} key=${serializeFilter(filter)} filter=${filter} />
    ${may(user, "export") && html`<${Export} params=${params} />`}
  </div>`;
}

function Export({ params }) {
  return html`<a class="tool" href=${`api/calls/export?${params}`} download title="Download these calls as CSV, for spreadsheets">
      <${Icon} name="download" /><span>Export</span>
    </a>
    <a
      class="tool"
      href=${`api/calls/export?${params}&table=program`}
      download
      title="CSV for programs: every text as it is"
      aria-label="CSV for programs"
    >
      <${Icon} name="code" />
    </a>`;
}
