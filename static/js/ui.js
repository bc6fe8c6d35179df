// The one door to the vendored view libraries, and the few hooks of our own.

import htm from "../vendor/htm.js";
import { useEffect, useReducer, useRef, useState } from "../vendor/preact-hooks.js";
import { h } from "../vendor/preact.js";

export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";
export { Fragment, render } from "../vendor/preact.js";
export const html = htm.bind(h);

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

/** The latest value, for a callback that outlives its rendering. */
export function useLatest(value) {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}
