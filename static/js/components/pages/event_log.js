import { html, useEffect, useApp, useRef, useState } from "../../ui.js";

const MAX_EVENTS = 100;

/** The last events of the WebSocket, newest first. */
export function EventLog() {
  const { feed } = useApp();
  const [events, setEvents] = useState([]);
  const [isPaused, setPaused] = useState(false);
  const waiting = useRef([]);
  useEffect(() => {
    if (isPaused) return undefined;
    let frame = null;
    const show = () => {
      frame = null;
      const newest = waiting.current.reverse();
      waiting.current = [];
      setEvents((old) => [...newest, ...old].slice(0, MAX_EVENTS));
    };
    const stop = feed.listen((event) => {
      waiting.current.push(event);
      if (waiting.current.length > MAX_EVENTS) waiting.current.shift(); // a burst may be larger than the log
      frame ??= requestAnimationFrame(show);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [feed, isPaused]);

  return html`<section aria-labelledby="events-title">
    <div class="snippet-head">
      <h3 id="events-title">Events</h3>
      <div class="switch">
        <button class="tool" type="button" data-on=${isPaused ? "" : null} onClick=${() => setPaused(!isPaused)}>
          ${isPaused ? "Resume" : "Pause"}
        </button>
        <button class="tool" type="button" onClick=${() => setEvents([])}>Clear</button>
      </div>
    </div>
    <p class="muted small">The last ${MAX_EVENTS} WebSocket events, with their times in UTC.</p>
    ${
      events.length === 0
        ? html`<p class="muted">No events yet. Send a call to see its events.</p>`
        : html`<ol class="events" tabindex="0" aria-label="Events, newest first">
            ${events.map((event) => html`<${Event} key=${event.seq} event=${event} />`)}
          </ol>`
    }
  </section>`;
}

function Event({ event }) {
  const [isOpen, setOpen] = useState(false);
  const toggle = ({ currentTarget }) => setOpen(currentTarget.open);
  return html`<li class="event">
    <details onToggle=${toggle}>
      <summary>
        <span class="event-seq">${event.seq}</span> <code>${event.event}</code>
        <span class="muted event-at">${event.at.slice(11, 23)}</span>
      </summary>
      ${isOpen && html`<pre class="event-text">${JSON.stringify(event, null, 2)}</pre>`}
    </details>
  </li>`;
}
