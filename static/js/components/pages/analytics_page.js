import { STATUSES } from "../../search/filter.js";
import { amount, count, timeOfDay } from "../../format/time.js";
import { listHref } from "../../route.js";
import { html, useEffect, useLoaded, useParts } from "../../ui.js";
import { Chart } from "./chart.js";
import { Loading } from "../loading.js";
import { Status } from "../call_status.js";

const AT_MOST_EVERY_MS = 2_000;
const MINUTE_MS = 60_000;

/** The day, the last hour and the month in numbers, drawn again while calls come in. */
export function Content() {
  const { api, desk, title } = useParts();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { value, error, again } = useLoaded((signal) => api.activity(zone, { signal }), [zone]);
  useEffect(() => title.show("Numbers"), []);
  useEffect(() => refreshing(desk, again), [desk]);

  if (!value && !error) return html`<${Loading} />`;
  if (!value) {
    return html`<div class="notice" role="alert">
      <p>${error.message}</p>
      <button class="button" type="button" onClick=${again}>Try again</button>
    </div>`;
  }
  const { today, perMinute, perDay, agents } = value;
  return html`<div class="numbers">
    <header class="page-head">
      <h2 class="page-title">Numbers</h2>
      <p class="muted small">Days and times in ${zone.replaceAll("_", " ")}, this browser's time zone. Drawn again as calls come in.</p>
    </header>
    ${error && html`<p class="notice" role="alert">${error.message} These numbers are from before.</p>`}
    <${Today} today=${today} />
    <div class="charts">
      <${Chart}
        title="Calls per minute, last hour"
        noun="calls"
        bars=${perMinute.map(({ at, count: calls }) => ({ label: timeOfDay(at), value: calls }))}
      />
      <${Chart}
        title="Calls per day, last 30 days"
        noun="calls"
        bars=${perDay.map(({ date, count: calls }) => ({ label: dayLabel(date), value: calls }))}
      />
    </div>
    <${Agents} agents=${agents} />
  </div>`;
}

// With every call, but not more often than a reader can see; and each minute, because the hour moves on by itself.
function refreshing(desk, again) {
  let timer = null;
  let lastMs = Date.now();
  const refresh = () => {
    timer = null;
    lastMs = Date.now();
    again();
  };
  const stop = desk.listen(({ event }) => {
    if (event === "call_ended") timer ??= setTimeout(refresh, Math.max(150, lastMs + AT_MOST_EVERY_MS - Date.now()));
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
    ["Answered", answeredShare === null ? "–" : `${Math.round(answeredShare * 100)} %`],
    ["Talk time", amount(talkTime)],
    ["Average length", averageDuration === null ? "–" : amount(averageDuration)],
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
    <ul class="by-status" role="list" aria-label="Today by status">
      ${Object.keys(STATUSES).map(
        (status) => html`<li>
          <a href=${listHref({ status, date: "today" })}><${Status} status=${status} /> <strong>${count(byStatus[status] ?? 0)}</strong></a>
        </li>`,
      )}
    </ul>
  </section>`;
}

function Agents({ agents }) {
  if (agents.length === 0) return null;
  const most = Math.max(...agents.map(({ count: calls }) => calls));
  return html`<section>
    <h3>By agent, last 30 days</h3>
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
                    : html`<span class="muted">No agent named</span>`
                }
                <meter class="share" min="0" max=${most} value=${calls} aria-hidden="true"></meter>
              </th>
              <td>${count(calls)}</td>
              <td>${count(completed)}</td>
              <td>${amount(talkTime)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const dayLabel = (date) => days.format(Date.parse(date)); // a day has no zone: read and written in the same one
