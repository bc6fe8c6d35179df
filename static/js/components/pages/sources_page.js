import { count } from "../../format/number.js";
import { relativeTime } from "../../format/time.js";
import { kindName } from "../../format/vendors.js";
import { deliveriesHref, newSourceHref, sourceHref, sourcesHref } from "../../route.js";
import { html, useApp, useAsync, useEffect, useNow, useState } from "../../ui.js";
import { Icon } from "../icon.js";
import { Loading } from "../loading.js";
import { AddSource } from "./add_source.js";
import { AdminNav } from "./admin_nav.js";
import { PageFailed } from "./page_failed.js";
import { SourceView } from "./source_view.js";

const CLOCK_MS = 15_000;

/** The calling systems of the organization: the list, one of them, or a new one. For admins. */
export function Content({ id }) {
  const [newKey, setNewKey] = useState(null); // {sourceId, apiKey}: shown once, right after the source was added
  if (id === null) return html`<${SourceList} />`;
  const added = ({ source, apiKey }) => {
    setNewKey({ sourceId: source.id, apiKey });
    location.replace(sourceHref(source.id));
  };
  return html`<div class="deliveries source-page">
    <p><a class="back" href=${sourcesHref}><${Icon} name="back" /> Sources</a></p>
    ${
      id === "new"
        ? html`<${AddSource} onAdded=${added} />`
        : html`<${SourceView} key=${id} id=${id} firstKey=${newKey?.sourceId === id ? newKey.apiKey : null} />`
    }
  </div>`;
}

function SourceList() {
  const { api, title } = useApp();
  const { value: sources, error, reload } = useAsync((signal) => api.sources({ signal }), []);
  const nowMs = useNow(CLOCK_MS);
  useEffect(() => title.show("Sources"), []);
  if (error && !sources) return html`<${PageFailed} head=${html`<${AdminNav} current="sources" />`} error=${error} reload=${reload} />`;
  if (!sources) return html`<${Loading} />`;
  return html`<div class="deliveries">
    <${AdminNav} current="sources" />
    <p class="muted">
      A source is a calling system whose calls come here: by the vendor's own webhooks, or with the API. It has an address or a key of its own,
      and goes on when people leave.
    </p>
    <p><a class="button button-main button-link" href=${newSourceHref}>Add a source</a></p>
    ${
      sources.length === 0
        ? html`<p class="muted">No sources yet. Until there are some, calls come with the API keys of users.</p>`
        : html`<ul class="sources" role="list">
            ${sources.map((source) => html`<${Row} key=${source.id} source=${source} nowMs=${nowMs} />`)}
          </ul>`
    }
  </div>`;
}

function Row({ source, nowMs }) {
  const { id, name, kind, enabled, lastSeenAt, refused = {} } = source;
  const refusals = Object.values(refused).reduce((sum, times) => sum + times, 0);
  return html`<li class="source" data-source-id=${id}>
    <a class="source-link" href=${sourceHref(id)}>
      <bdi class="source-name">${name}</bdi>
      <span class="muted small">
        ${kindName(kind)} · <span class="status" data-verdict=${enabled ? "created" : "ignored"}>${enabled ? "Enabled" : "Disabled"}</span> ·
        ${lastSeenAt ? ` last seen ${relativeTime(lastSeenAt, nowMs)}` : " not seen yet"}${refusals > 0 && ` · ${count(refusals)} refused`}
      </span>
    </a>
    <a class="tool" href=${deliveriesHref({ source: id })} aria-label=${`Deliveries of ${name}`}>Deliveries</a>
  </li>`;
}
