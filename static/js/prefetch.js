// What does not wait for the rest of the page: the first calls are asked for while the modules that will show them are
// still being loaded. This module and what it needs is loaded first, and runs as soon as it is here.

import { createApi } from "./api.js";
import { question, FIRST_PAGE } from "./search/filter.js";
import { parseRoute } from "./route.js";
import { remembered } from "./state/session.js";

const hears = { sessionOver: () => {}, answer: () => {} };

export const api = createApi({
  onSessionOver: () => hears.sessionOver(),
  onAnswer: (...readings) => hears.answer(...readings),
});

/** Says who is told when the session is over, and of the clocks of each answer; until then nobody is. */
export function tell({ sessionOver, answer }) {
  Object.assign(hears, { sessionOver, answer });
}

let firstPage = remembered() && ask(parseRoute(location.hash));

/**
 * The list that the address leads to, as it was asked for: {question, answer}; null for who has to sign in first. Only the
 * first who takes it gets it: whoever signs in later may be somebody else.
 */
export function takeFirstPage() {
  const taken = firstPage;
  firstPage = null;
  return taken;
}

function ask({ name, filter }) {
  if (name !== "list" && name !== "call") return null;
  const params = question(filter, Date.now(), { limit: FIRST_PAGE });
  const answer = api.history(params);
  answer.catch(() => {}); // whoever takes the answer hears of it
  return { question: String(params), answer };
}
