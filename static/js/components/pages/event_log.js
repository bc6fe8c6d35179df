import { html, useEffect, useParts, useRef, useState } from "../../ui.js";

const KEPT = 100;

/** The last events of the feed as they came, the latest first. */
export function Inspector() {
  const { desk } = useParts();
  const [events, setEvents] = useState([]);
  const [isPaused, setPaused] = useState(false);
  const waiting = useRef([]);
  useEffect(() => {
    if (isPaused) return undefined;
    let frame = null;
    const show = () => {
      frame = null;
      const news = waiting.current.reverse();
      waiting.current = [];
      setEvents((old) => [...news, ...old].slice(0, KEPT));
    };
    const stop = desk.listen((event) => {
      waiting.current.push(event);
      if (waiting.current.length > KEPT) waiting.current.shift(); // nobody reads more of a burst than is kept
      frame ??= requestAnimationFrame(show);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [desk, isPaused]);

  return html`<section aria-labelledby="events-title">
    <div class="snippet-head">
      <h3 id="events-title">Events</h3>
      <div class="switch">
        <button class="tool" type="button" aria-pressed=${isPaused ? "true" : "false"} onClick=${() => setPaused(!isPaused)}>
          ${isPaused ? "Go on" : "Pause"}
        </button>
        <button class="tool" type="button" onClick=${() => setEvents([])}>Clear</button>
      </div>
    </div>
    <p class="muted small">As they come over the WebSocket, the last ${KEPT} of them.</p>
    ${
      events.length === 0
        ? html`<p class="muted">None yet. Post a call.</p>`
        : html`<ol class="events" tabindex="0" aria-label="Events, the latest first">
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
