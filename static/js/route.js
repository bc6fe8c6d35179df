// The address bar as data. Pure: `#/` is the list, `#/calls/<id>` one call; whatever else is the list, too.

/** @returns {{name: "list"} | {name: "call", callId: string}} */
export function parseRoute(hash) {
  const match = /^#\/calls\/([^/?#]+)$/.exec(hash);
  if (!match) return { name: "list" };
  try {
    return { name: "call", callId: decodeURIComponent(match[1]) };
  } catch {
    return { name: "list" }; // a broken percent escape names no call
  }
}

export const listHref = "#/";
export const callHref = (callId) => `#/calls/${encodeURIComponent(callId)}`;
