import { contactLabel } from "../format/call.js";
import { count } from "../format/number.js";
import { html, useApp, useEffect, useState } from "../ui.js";

const MIN_INTERVAL_MS = 12_000; // between two announcements

/** Announces new calls to screen readers: politely, several at once, and not often. Shows nothing. */
export function Announcer() {
  const { feed } = useApp();
  const [text, setText] = useState("");
  useEffect(() => {
    let arrived = [];
    let timer = null;
    const announce = () => {
      timer = null;
      const rows = arrived.map((callId) => feed.calls.rows.get(callId)).filter(Boolean);
      arrived = [];
      if (rows.length === 0) return;
      setText(rows.length === 1 ? `New call: ${contactLabel(rows[0])}` : `${count(rows.length)} new calls`);
      timer = setTimeout(() => (arrived.length > 0 ? announce() : (timer = null)), MIN_INTERVAL_MS);
    };
    const stop = feed.listen(({ event, data }) => {
      if (event !== "call_ended" || feed.calls.rows.get(data.callId)?.isHistoric) return;
      arrived.push(data.callId);
      if (arrived.length > 1000) arrived.shift();
      timer ??= setTimeout(announce, 500); // its transcript may still be searched
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [feed]);
  return html`<p class="visually-hidden" role="status" data-testid="announcer">${text}</p>`;
}
