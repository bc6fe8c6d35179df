import { filterText, question } from "../../search/filter.js";
import { plural } from "../../format/time.js";
import { html, useParts, useWatched } from "../../ui.js";
import { Icon } from "../icon.js";
import { NoticeMenu } from "./alert_menu.js";

/** How many calls the view has, and what can be done with all of them. */
export function ListTools({ filter }) {
  const { desk } = useParts();
  const { total, totalIsExact } = useWatched(desk.calls);
  const { isPaused } = useWatched(desk);
  const params = question(filter, Date.now());
  return html`<div class="list-tools">
    <p class="list-count" role="status">
      ${total === null ? "" : totalIsExact ? plural(total, "call") : `More than ${plural(total, "call")}`}
    </p>
    <button
      class="tool"
      type="button"
      aria-pressed=${isPaused ? "true" : "false"}
      title="New calls wait until you go on"
      onClick=${() => desk.setPaused(!isPaused)}
    >
      <${Icon} name=${isPaused ? "play" : "pause"} /><span>${isPaused ? "Go on" : "Pause"}</span>
    </button>
    <${NoticeMenu} key=${filterText(filter)} filter=${filter} />
    <a class="tool" href=${`/api/calls/export?${params}`} download title="These calls as a table (CSV)">
      <${Icon} name="download" /><span>Export</span>
    </a>
  </div>`;
}
