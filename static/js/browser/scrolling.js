// Scrolls to an element among rows whose heights are guesses until they have been shown (`content-visibility`).

const SETTLING_FRAMES = 6; // each may show rows for the first time, which moves the element

/** Scrolls an element to the middle of its pane, gliding if it is near and `glides`. Ends early with `signal`. */
export function scrollToMiddle(element, pane, { glides = false, signal } = {}) {
  const middle = ({ top, height }) => top + height / 2;
  const awayPx = Math.abs(middle(element.getBoundingClientRect()) - middle(pane.getBoundingClientRect()));
  const isNear = awayPx < pane.clientHeight;
  if (glides && isNear && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    pane.addEventListener("scrollend", () => settle(element, pane, SETTLING_FRAMES, signal), { once: true, signal });
    element.scrollIntoView({ block: "center", behavior: "smooth" });
  } else {
    settle(element, pane, SETTLING_FRAMES, signal);
  }
}

/** True if an element is in its pane and not under `cover`, which sticks to the pane's top; of a long one, its beginning. */
export function isInSight(element, pane, cover) {
  const { top, bottom } = element.getBoundingClientRect();
  const lowest = Math.min(bottom, top + pane.clientHeight / 3);
  return top >= cover.getBoundingClientRect().bottom && lowest <= pane.getBoundingClientRect().bottom;
}

function settle(element, pane, frames, signal) {
  if (signal?.aborted || frames === 0) return;
  const isLong = element.clientHeight > pane.clientHeight / 2;
  element.scrollIntoView({ block: isLong ? "start" : "center" });
  requestAnimationFrame(() => settle(element, pane, frames - 1, signal));
}
