// What is shown of a read token. Pure.

/** By what the server calls them: the name, and what a program does with it. */
export const SCOPES = [
  ["feed", "Events", "follows what happens, live"],
  ["calls", "Calls", "reads calls, contacts, messages and figures"],
  ["recordings", "Recordings", "plays recordings, and reads what was said"],
];

/** How long a new token lasts, in days; null: it has no end. The first is chosen. */
export const LIFETIMES = [
  [90, "90 days"],
  [30, "30 days"],
  [365, "1 year"],
  [null, "No end"],
];

export const scopeNames = (scopes) => SCOPES.filter(([scope]) => scopes.includes(scope)).map(([, name]) => name).join(", ");

/** When a token of so many days ends, as the server takes it. */
export const endsAfter = (days, nowMs) => (days === null ? null : new Date(nowMs + days * 86_400_000).toISOString());

/** A line for a shell that uses the token: it follows the events or reads the newest calls. `address`: the server's. */
export function commandFor(address, token, scopes) {
  const curl = `curl -H 'Authorization: Bearer ${token}'`;
  if (scopes.includes("feed")) return `${curl} -N -H 'Accept: text/event-stream' '${address}/api/feed'`;
  return scopes.includes("calls") ? `${curl} '${address}/api/calls/history?limit=10'` : null;
}
