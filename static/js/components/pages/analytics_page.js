import { count, percent } from "../../format/number.js";
import { shortDay, timeOfDay, totalTime } from "../../format/time.js";
import { listHref } from "../../route.js";
import { STATUSES } from "../../search/filter.js";
import { html, useEffect, useAsync, useApp } from "../../ui.js";
import { CallStatus } from "../call_status.js";
import { Loading } from "../loading.js";
import { Chart } from "./chart.js";

const MIN_INTERVAL_MS = 2_000;
const REFRESHING = new Set(["call_ended", "call_updated", "call_deleted", "calls_expired"]);
const MINUTE_MS = 60_000;
const MOST_AGENTS = 20; // the server returns no more

/** Statistics of today, the last hour and the last 30 days, updated as calls arrive. */
export function Content() {
  const { api, feed, title } = useApp();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { value, error, reload } = useAsync((signal) => api.activity(zone, { signal }), [zone]);
  useEffect(() => title.show("Analytics"), []);
  useEffect(() => reloadOnCalls(feed, reload), [feed]);

  if (!value && !error) return html`<${Loading} />`;
  if (!value) {
    return html`<div class="notice" role="alert">
      <p>${error.message}</p>
      <button class="button" type="button" onClick=${reload}>Try again</button>
    </div>`;
  }
  const { today, perMinute, perDay, agents } = value;
  return html`<div class="analytics">
    <header class="page-head">
      <h2 class="page-title">Analytics</h2>
      <p class="muted small">Updates live. Times are in your time zone, ${zone.replaceAll("_", " ")}.</p>
    </header>
    ${error && html`<p class="notice" role="alert">${error.message} The figures may be out of date.</p>`}
    <${Today} today=${today} />
    <div class="charts">
      <${Chart}
        title="Calls received per minute, last hour"
        noun="calls"
        bars=${perMinute.map(({ at, count: calls }) => ({ label: timeOfDay(at), value: calls }))}
      />
      <${Chart}
        title="Calls begun per day, last 30 days"
        noun="calls"
        bars=${perDay.map(({ date, count: calls }) => ({ label: dayLabel(date), value: calls }))}
      />
    </div>
    <${Agents} agents=${agents} />
  </div>`;
}

// Reloads when calls arrive, but not too often; and every minute, because the last hour moves.
function reloadOnCalls(feed, reload) {
  let timer = null;
  let lastMs = Date.now();
  const refresh = () => {
    timer = null;
    lastMs = Date.now();
    reload();
  };
  const stop = feed.listen(({ event }) => {
    if (REFRESHING.has(event)) timer ??= setTimeout(refresh, Math.max(150, lastMs + MIN_INTERVAL_MS - Date.now()));
  });
  const ticking = setInterval(refresh, MINUTE_MS);
  return () => {
    stop();
    clearTimeout(timer);
    clearInterval(ticking);
  };
}

function Today({ today }) {
  const { total, byStatus, answeredShare, talkTime, averageDuration } = today;
  const tiles = [
    ["Calls today", count(total), listHref({ date: "today" })],
    ["Answer rate", answeredShare === null ? "–" : percent(answeredShare)],
    ["Talk time", totalTime(talkTime)],
    ["Average duration", averageDuration === null ? "–" : totalTime(averageDuration)],
  ];
  return html`<section aria-label="Today">
    <dl class="tiles">
      ${tiles.map(
        ([name, value, href]) => html`<div class="tile">
          <dt>${name}</dt>
          <dd>${href ? html`<a href=${href}>${value}</a>` : value}</dd>
        </div>`,
      )}
    </dl>
    <ul class="by-status" role="list" aria-label="Calls today by status">
      ${Object.keys(STATUSES).map(
        (status) => html`<li>
          <a href=${listHref({ status, date: "today" })}><${CallStatus} status=${status} /> <strong>${count(byStatus[status] ?? 0)}</strong></a>
        </li>`,
      )}
    </ul>
  </section>`;
}

function Agents({ agents }) {
  if (agents.length === 0) return null;
  const max = Math.max(...agents.map(({ count: calls }) => calls));
  return html`<section>
    <h3>${agents.length < MOST_AGENTS ? "Agents" : `The ${MOST_AGENTS} agents with the most calls`}, last 30 days</h3>
    <div class="table-scroll" tabindex="0" role="region" aria-label="Calls by agent">
      <table class="agents">
        <thead>
          <tr><th scope="col">Agent</th><th scope="col">Calls</th><th scope="col">Completed</th><th scope="col">Talk time</th></tr>
        </thead>
        <tbody>
          ${agents.map(
            ({ agentName, count: calls, completed, talkTime }) => html`<tr key=${agentName}>
              <th scope="row">
                ${
                  agentName
                    ? html`<a href=${listHref({ agentName, date: "month" })}><bdi>${agentName}</bdi></a>`
                    : html`<span class="muted">No agent</span>`
                }
                <meter class="share" min="0" max=${max} value=${calls} aria-hidden="true"></meter>
              </th>
              <td>${count(calls)}</td>
              <td>${count(completed)}</td>
              <td>${totalTime(talkTime)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

const dayLabel = (date) => shortDay(date, Date.now(), { timeZone: "UTC" }); // a date has no time zone: it is parsed as one in UTC
