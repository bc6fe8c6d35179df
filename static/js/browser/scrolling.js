// Scrolls to an element among rows whose heights are guesses until they have been shown (`content-visibility`).

const SETTLING_FRAMES = 6; // each may show rows for the first time, which moves the element

/** Scrolls an element to the middle of its pane, gliding if it is near and `glides`. Ends early with `signal`. */
export function scrollToMiddle(element, pane, { glides = false, signal } = {}) {
  const middle = ({ top, height }) => top + height / 2;
  const awayPx = Math.abs(middle(element.getBoundingClientRect()) - middle(pane.getBoundingClientRect()));
  const isNear = awayPx < pane.clientHeight;
  if (glides && isNear && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    pane.addEventListener("scrollend", () => settle(element, SETTLING_FRAMES, signal), { once: true, signal });
    element.scrollIntoView({ block: "center", behavior: "smooth" });
  } else {
    settle(element, SETTLING_FRAMES, signal);
  }
}

function settle(element, frames, signal) {
  if (signal?.aborted || frames === 0) return;
  element.scrollIntoView({ block: "center" });
  requestAnimationFrame(() => settle(element, frames - 1, signal));
}
