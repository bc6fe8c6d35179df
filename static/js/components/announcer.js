import { contactLabel } from "../format/call.js";
import { count } from "../format/time.js";
import { html, useEffect, useParts, useState } from "../ui.js";

const QUIET_MS = 12_000; // a reader who hears the page is told of arrivals at most this often

/** Tells a screen reader of new calls: politely, together, and seldom. Shows nothing. */
export function Announcer() {
  const { desk } = useParts();
  const [words, setWords] = useState("");
  useEffect(() => {
    let arrived = [];
    let timer = null;
    const tell = () => {
      timer = null;
      const rows = arrived.map((callId) => desk.calls.rows.get(callId)).filter(Boolean);
      arrived = [];
      if (rows.length === 0) return;
      setWords(rows.length === 1 ? `New call: ${contactLabel(rows[0])}` : `${count(rows.length)} new calls`);
      timer = setTimeout(() => (arrived.length > 0 ? tell() : (timer = null)), QUIET_MS);
    };
    const stop = desk.listen(({ event, data }) => {
      if (event !== "call_ended") return;
      arrived.push(data.callId);
      if (arrived.length > 1000) arrived.shift();
      timer ??= setTimeout(tell, 500); // its words may still be looked into
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [desk]);
  return html`<p class="visually-hidden" role="status" data-testid="announcer">${words}</p>`;
}
