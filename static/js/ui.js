// The one door to the vendored view libraries, and the few hooks of our own.

import htm from "../vendor/htm.js";
import { useContext, useEffect, useReducer, useRef, useState } from "../vendor/preact-hooks.js";
import { createContext, h } from "../vendor/preact.js";

export { useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";
export { Fragment, render } from "../vendor/preact.js";
export const html = htm.bind(h);

/** What main.js has made, for every component: {session, api, clock, title, notices, and once signed in: desk}. */
export const Parts = createContext(null);
export const useParts = () => useContext(Parts);

/**
 * A component that is rendered again only when one of its props is another. What it rendered is not kept in a variable:
 * that would keep the whole tree that it once stood in, and that one the tree before.
 */
export function memo(component) {
  function isOther(next) {
    const names = Object.keys(next);
    return names.length !== Object.keys(this.props).length || names.some((name) => next[name] !== this.props[name]);
  }
  return function Memo(props) {
    this.shouldComponentUpdate = isOther;
    return h(component, props);
  };
}

/** Renders again whenever `observable` has changed. @returns the same observable. */
export function useWatched(observable) {
  const [, renderAgain] = useReducer((count) => count + 1, 0);
  const seen = observable.version;
  useEffect(() => {
    if (observable.version !== seen) renderAgain(); // it changed between the rendering and this subscription
    return observable.subscribe(renderAgain);
  }, [observable]);
  return observable;
}

/** The clock in milliseconds, read again every `everyMs`, so that "4 min ago" stays true. */
export function useNow(everyMs) {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return nowMs;
}

/**
 * Loads something for as long as `keys` stay the same; what is shown stays while it is loaded again.
 *
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @returns {{value: T | null, error: Error | null, again: () => void}}
 * @template T
 */
export function useLoaded(load, keys) {
  const [state, setState] = useState({ value: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const aborted = new AbortController();
    load(aborted.signal).then(
      (value) => aborted.signal.aborted || setState({ value, error: null }),
      (error) => aborted.signal.aborted || setState((old) => ({ value: old.value, error })),
    );
    return () => aborted.abort();
  }, [...keys, round]);
  return { ...state, again: () => setRound((count) => count + 1) };
}

/** The address bar's route, as `parse` reads it. */
export function useRoute(parse) {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const read = () => setRoute(parse(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return route;
}

/** Whether a media query holds now. */
export function useMedia(query) {
  const media = matchMedia(query);
  const [holds, setHolds] = useState(media.matches);
  useEffect(() => {
    const read = () => setHolds(media.matches);
    read();
    media.addEventListener("change", read);
    return () => media.removeEventListener("change", read);
  }, [query]);
  return holds;
}

const TYPING = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const ANSWERS_SPACE = "button, summary, input, a:not(.row-link), [role=button]";
const ANSWERS_ARROWS = "input, select, [role=tab]";

/**
 * Keys of the whole page: name of the key → what it does; a handler that returns false has not used it. Whoever types, a
 * dialog, and a control that knows the key itself come first.
 */
export function useKeys(bindings) {
  const latest = useLatest(bindings);
  useEffect(() => {
    const press = (event) => {
      const { key, target } = event;
      const run = latest.current[key];
      if (!run || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
      if (document.querySelector("dialog[open]")) return;
      const on = (selector) => target instanceof Element && target.closest(selector) !== null;
      if (key !== "Escape" && on(TYPING)) return;
      if (key === " " && on(ANSWERS_SPACE)) return;
      if (key.startsWith("Arrow") && on(ANSWERS_ARROWS)) return;
      if (run(event) !== false) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** The latest value, for a callback that outlives its rendering. */
export function useLatest(value) {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}
