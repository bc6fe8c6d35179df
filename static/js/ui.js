// The only module that imports the vendored view libraries, and our own hooks.

import htm from "../vendor/htm.js";
import { useContext, useEffect, useReducer, useRef, useState } from "../vendor/preact-hooks.js";
import { createContext, h } from "../vendor/preact.js";

export { useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";
export { Fragment, render } from "../vendor/preact.js";
export const html = htm.bind(h);

/** What main.js has built, for every component: {session, api, clock, title, theme, alerts}, and once signed in `feed`. */
export const AppContext = createContext(null);
export const useApp = () => useContext(AppContext);

/**
 * Wraps a component so that it renders again only if one of its props has changed. The last result is not kept in a
 * variable: it would keep the whole tree around it in memory, and that tree the one before.
 */
export function memo(component) {
  function hasChanged(next) {
    const names = Object.keys(next);
    return names.length !== Object.keys(this.props).length || names.some((name) => next[name] !== this.props[name]);
  }
  return function Memo(props) {
    this.shouldComponentUpdate = hasChanged;
    return h(component, props);
  };
}

/** Renders again whenever `observable` changes. @returns the same observable */
export function useObservable(observable) {
  const [, renderAgain] = useReducer((count) => count + 1, 0);
  const seen = observable.version;
  useEffect(() => {
    if (observable.version !== seen) renderAgain(); // it changed between rendering and subscribing
    return observable.subscribe(renderAgain);
  }, [observable]);
  return observable;
}

/** The current time in milliseconds, updated every `everyMs`, so that "4 min ago" stays true. */
export function useNow(everyMs) {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return nowMs;
}

/**
 * Loads a value, and again when `keys` change or `reload` is called. The old value stays until the new one is here.
 *
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @returns {{value: T | null, error: Error | null, reload: () => void}}
 * @template T
 */
export function useAsync(load, keys) {
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
  return { ...state, reload: () => setRound((count) => count + 1) };
}

/** Like `useAsync`, and loads again `everyMs` after each answer while the page is visible; not if `everyMs` is null. */
export function usePolling(load, keys, everyMs) {
  const result = useAsync(load, keys);
  useEffect(() => {
    if (everyMs === null || (result.value === null && result.error === null)) return undefined;
    const stopped = new AbortController();
    const timer = setTimeout(() => {
      if (!document.hidden) result.reload();
      else document.addEventListener("visibilitychange", result.reload, { once: true, signal: stopped.signal });
    }, everyMs);
    return () => {
      clearTimeout(timer);
      stopped.abort();
    };
  }, [result.value, result.error, everyMs]);
  return result;
}

/** The route in the address bar. */
export function useRoute(parse) {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const read = () => setRoute(parse(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return route;
}

const TEXT_FIELDS = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const USES_SPACE = "button, summary, input, a:not(.row-link), [role=button]";
const USES_ARROWS = "input, select, [role=tab]";

/**
 * Keyboard shortcuts of the whole page: key → handler; a handler that returns false has not used the key. Text fields,
 * dialogs, and controls that use the key themselves take precedence.
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
      if (key !== "Escape" && on(TEXT_FIELDS)) return;
      if (key === " " && on(USES_SPACE)) return;
      if (key.startsWith("Arrow") && on(USES_ARROWS)) return;
      if (run(event) !== false) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** While a menu is open: Esc or a click outside its `root` closes it; Esc returns the focus to its button. */
export function useDismiss(root, isOpen, close) {
  useEffect(() => {
    if (!isOpen) return undefined;
    const watching = new AbortController();
    const options = { signal: watching.signal, capture: true };
    addEventListener("pointerdown", ({ target }) => root.current.contains(target) || close(), options);
    addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        close();
        root.current.querySelector("button").focus();
      },
      options,
    );
    return () => watching.abort();
  }, [isOpen]);
}

/** A ref to the latest value, for callbacks that outlive a rendering. */
export function useLatest(value) {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}
