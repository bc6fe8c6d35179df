// Requests the first page of calls while the other modules are still loading. This module and its imports load first.

import { createApi } from "./api.js";
import { parseRoute } from "./route.js";
import { FIRST_PAGE, historyParams } from "./search/filter.js";
import { rememberedUser } from "./state/session.js";

const listeners = { onSessionExpired: () => {}, onResponse: () => {} };

export const api = createApi({
  onSessionExpired: () => listeners.onSessionExpired(),
  onResponse: (...times) => listeners.onResponse(...times),
});

/** Sets the listeners of `api`, which is created before those that listen. See `createApi`. */
export function setListeners({ onSessionExpired, onResponse }) {
  Object.assign(listeners, { onSessionExpired, onResponse });
}

let firstPage = rememberedUser() && request(parseRoute(location.hash));

/**
 * Returns the request for the list at the address as {params, response}, or null if nobody is signed in. Returns it only
 * once, because the next person to sign in may be somebody else.
 */
export function takeFirstPage() {
  const taken = firstPage;
  firstPage = null;
  return taken;
}

function request({ name, filter }) {
  if (name !== "list" && name !== "call") return null;
  const params = historyParams(filter, Date.now(), { limit: FIRST_PAGE });
  const response = api.history(params);
  response.catch(() => {}); // handled by the code that takes the response
  return { params: String(params), response };
}
