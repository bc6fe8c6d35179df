import { comparison, dayLabel, daysOrWeeks, shareComparison, wordsBefore } from "../../format/figures.js";
import { count, percent, plural } from "../../format/number.js";
import { timeOfDay, totalTime } from "../../format/time.js";
import { analyticsHref, listHref } from "../../route.js";
import { DATES, STATUSES } from "../../search/filter.js";
import { html, useApp, useAsync, useEffect, useRef } from "../../ui.js";
import { CallStatus } from "../call_status.js";
import { Loading } from "../loading.js";
import { Chart } from "./chart.js";

const MIN_INTERVAL_MS = 2_000;
const REST = 10; // a page of many calls rests for ten times as long as its figures take
const MINUTE_MS = 60_000;
const REFRESHING = new Set(["call_ended", "call_updated", "call_deleted", "calls_expired"]);

/** Figures of a period, compared with the one before, updated as calls arrive. The period is in the address. */
export function Content({ filter }) {
  const { api, feed, title } = useApp();
  const localTimeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { date, startDate, endDate } = filter;
  const period = { localTimeZone, ...(startDate || endDate ? { startDate: startDate ?? "", endDate: endDate ?? "" } : { range: date ?? "today" }) };
  const key = JSON.stringify(period);
  const tookMs = useRef(0);
  const load = async (signal) => {
    const beganMs = performance.now();
    const value = await api.activity(period, { signal });
    tookMs.current = performance.now() - beganMs;
    return { value, key };
  };
  const { value: loaded, error, reload } = useAsync(load, [key]);
  useEffect(() => title.show("Analytics"), []);
  useEffect(() => reloadOnCalls(feed, reload, () => Math.max(MIN_INTERVAL_MS, REST * tookMs.current)), [feed]);

  return html`<div class="analytics">
    <header class="page-head">
      <h2 class="page-title">Analytics</h2>
      <${Ranges} filter=${filter} />
    </header>
    ${
      error &&
      html`<div class="notice" role="alert">
        <p>${error.message}${loaded ? " The figures may be out of date." : ""}</p>
        <button class="button" type="button" onClick=${reload}>Try again</button>
      </div>`
    }
    ${
      loaded
        ? html`<div class="figures" aria-busy=${loaded.key === key ? "false" : "true"}><${Figures} value=${loaded.value} /></div>`
        : !error && html`<${Loading} />`
    }
  </div>`;
}

// Reloads when calls arrive, but not too often; and every minute, because the last hour moves.
function reloadOnCalls(feed, reload, intervalMs) {
  let timer = null;
  let lastMs = Date.now();
  const refresh = () => {
    timer = null;
    lastMs = Date.now();
    reload();
  };
  const stop = feed.listen(({ event }) => {
    if (REFRESHING.has(event)) timer ??= setTimeout(refresh, Math.max(150, lastMs + intervalMs() - Date.now()));
  });
  const ticking = setInterval(() => Date.now() - lastMs >= intervalMs() && refresh(), MINUTE_MS);
  return () => {
    stop();
    clearTimeout(timer);
    clearInterval(ticking);
  };
}

function Ranges({ filter }) {
  const { date, startDate, endDate } = filter;
  const isChosen = Boolean(startDate || endDate);
  const pick = (change) => (location.hash = analyticsHref({ startDate, endDate, ...change }));
  return html`<nav class="ranges" aria-label="Period">
    ${Object.entries(DATES).map(
      ([range, text]) => html`<a
        class="range"
        href=${analyticsHref({ date: range })}
        aria-current=${!isChosen && (date ?? "today") === range ? "true" : null}
      >${text}</a>`,
    )}
    <span class="range-days" data-chosen=${isChosen ? "" : null}>
      <${Day} label="From" value=${startDate} max=${endDate} onPick=${(day) => pick({ startDate: day })} />
      <${Day} label="to" value=${endDate} min=${startDate} onPick=${(day) => pick({ endDate: day })} />
    </span>
  </nav>`;
}

function Day({ label, value = "", min, max, onPick }) {
  return html`<label class="choice">
    <span>${label}</span>
    <input type="date" value=${value} min=${min} max=${max} onChange=${(event) => onPick(event.currentTarget.value)} />
  </label>`;
}

function Figures({ value }) {
  const { period, before, agents } = value;
  const links = linksOf(value);
  return html`<p class="muted small"><${Basis} value=${value} /></p>
    <${Tiles} period=${period} before=${before} links=${links} />
    <${ByStatus} period=${period} links=${links} />
    <${Charts} value=${value} links=${links} />
    ${agents.length > 0 && html`<${Agents} value=${value} links=${links} />`}`;
}

// What the figures are of, what they are compared with, and where days begin.
function Basis({ value }) {
  const { period, timeZone, unknownTimeZone, now } = value;
  const nowMs = Date.parse(now);
  const [first, last] = [dayLabel(period.startDate, nowMs), dayLabel(period.endDate, nowMs)];
  const isLocal = timeZone === Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zone = timeZone.replaceAll("_", " ");
  const where = unknownTimeZone
    ? `The time zone ${unknownTimeZone} is not known here, so days and times are those of UTC.`
    : `Times are in your ${isLocal ? "" : "organization's "}time zone, ${zone}.`;
  return html`<strong>${first === last ? first : `${first} – ${last}`}</strong>, compared with ${wordsBefore(period)}. Every call counts
    when it began. ${where} Updates live.`;
}

/**
 * Links to the calls of each figure. Where days are those of this browser, a link names days, which stay what they are called
 * ("today"); otherwise instants.
 */
function linksOf({ period, timeZone, now }) {
  const isLocal = timeZone === Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { range, startDate, endDate, from, to } = period;
  const days = range ? { date: range } : { startDate, endDate };
  const isOver = Date.parse(to) < Date.parse(now); // otherwise calls that begin from now on belong to it as well
  const span = isLocal ? days : { from, to: isOver ? to : undefined };
  return {
    calls: (narrowed) => listHref({ ...span, ...narrowed }),
    hour: (hour) => listHref({ ...(isLocal ? days : { from, to, zone: timeZone }), hour: String(hour) }),
    days: (piece) => listHref(isLocal ? { startDate: piece.first, endDate: piece.last } : { from: piece.from, to: piece.to ?? to }),
    minute: (at) => listHref({ from: at, to: new Date(Date.parse(at) + MINUTE_MS).toISOString() }),
  };
}

function Tiles({ period, before, links }) {
  const words = wordsBefore(period);
  const completed = links.calls({ status: "completed" });
  const isNone = period.answeredShare === null;
  const tiles = [
    ["Calls", count(period.total), links.calls({}), comparison(period.total, before.total, words, ["more", "fewer", "as many"])],
    ["Answer rate", isNone ? "–" : percent(period.answeredShare), completed, shareComparison(period.answeredShare, before.answeredShare, words)],
    ["Talk time", totalTime(period.talkTime), completed, comparison(period.talkTime, before.talkTime, words)],
    [
      "Average duration",
      period.averageDuration === null ? "–" : totalTime(period.averageDuration),
      completed,
      comparison(period.averageDuration, before.averageDuration, words, ["longer", "shorter", "as long"]),
    ],
  ];
  return html`<dl class="tiles">
    ${tiles.map(
      ([name, figure, href, compared]) => html`<div class="tile">
        <dt>${name}</dt>
        <dd><a href=${href}>${figure}</a></dd>
        <dd class="tile-change muted small">${compared ?? " "}</dd>
      </div>`,
    )}
  </dl>`;
}

function ByStatus({ period, links }) {
  const { total, byStatus } = period;
  return html`<ul class="by-status" role="list" aria-label="Calls by status">
    ${Object.keys(STATUSES).map((status) => {
      const calls = byStatus[status] ?? 0;
      return html`<li data-status=${status}>
        <a href=${links.calls({ status })}>
          <${CallStatus} status=${status} /> <strong>${count(calls)}</strong>
          <span class="muted small">${total > 0 ? percent(calls / total) : ""}</span>
        </a>
        <meter class="share" min="0" max=${Math.max(1, total)} value=${calls} aria-hidden="true"></meter>
      </li>`;
    })}
  </ul>`;
}

function Charts({ value, links }) {
  const { period, perDay, perHour, perMinute, now } = value;
  const hours = perHour.map(({ hour, count: calls }) => {
    const [start, end] = [hour, hour + 1].map((each) => timeOfDay(new Date(Date.UTC(2026, 0, 1, each)).toISOString(), { timeZone: "UTC" }));
    return { label: start, title: `${start} – ${end}`, value: calls, href: links.hour(hour) };
  });
  const pieces = daysOrWeeks(perDay, Date.parse(now));
  const days = pieces.map((piece) => ({ label: piece.label, value: piece.count, href: links.days(piece) }));
  const minutes = perMinute.map(({ at, count: calls }) => ({ label: timeOfDay(at, { timeZone: value.timeZone }), value: calls, href: links.minute(at) }));
  return html`<div class="charts">
    ${perDay.length > 1 && html`<${Chart} title=${pieces.length < perDay.length ? "Calls per week" : "Calls per day"} bars=${days} />`}
    <${Chart} title=${perDay.length > 1 ? "Calls by hour of the day" : "Calls per hour"} bars=${hours} />
    ${period.range === "today" && html`<${Chart} title="Calls per minute, last hour" bars=${minutes} />`}
  </div>`;
}

function Agents({ value, links }) {
  const { agents, otherAgents, withoutAgent } = value;
  const max = Math.max(...agents.map(({ count: calls }) => calls));
  const more = [
    otherAgents.agents > 0 && `and ${plural(otherAgents.agents, "more agent")} with ${plural(otherAgents.count, "call")}`,
    withoutAgent > 0 && `${plural(withoutAgent, "call")} without an agent`,
  ].filter(Boolean);
  return html`<section>
    <h3>${otherAgents.agents > 0 ? `The ${agents.length} agents with the most calls` : "Agents"}</h3>
    <div class="table-scroll" tabindex="0" role="region" aria-label="Calls by agent">
      <table class="agents">
        <thead>
          <tr>
            <th scope="col">Agent</th><th scope="col">Calls</th><th scope="col">Answered</th><th scope="col">Talk time</th>
            <th scope="col">Average</th>
          </tr>
        </thead>
        <tbody>
          ${agents.map(
            ({ agentName, count: calls, completed, talkTime }) => html`<tr key=${agentName}>
              <th scope="row">
                <a href=${links.calls({ agentName })}><bdi>${agentName}</bdi></a>
                <meter class="share" min="0" max=${max} value=${calls} aria-hidden="true"></meter>
              </th>
              <td>${count(calls)}</td>
              <td><a href=${links.calls({ agentName, status: "completed" })}>${count(completed)}</a> <span class="muted">${percent(completed / calls)}</span></td>
              <td>${totalTime(talkTime)}</td>
              <td>${completed > 0 ? totalTime(talkTime / completed) : "–"}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${more.length > 0 && html`<p class="muted small">${more.join("; ")}</p>`}
  </section>`;
}
