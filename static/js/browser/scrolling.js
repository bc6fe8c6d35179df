// Scrolls what is read into sight.

/** Scrolls an element to the middle of its pane, a long one to its beginning; gliding if it is near and `glides`. */
export function scrollToMiddle(element, pane, { glides = false } = {}) {
  const middle = ({ top, height }) => top + height / 2;
  const awayPx = Math.abs(middle(element.getBoundingClientRect()) - middle(pane.getBoundingClientRect()));
  const mayGlide = glides && awayPx < pane.clientHeight && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const isLong = element.clientHeight > pane.clientHeight / 2;
  element.scrollIntoView({ block: isLong ? "start" : "center", behavior: mayGlide ? "smooth" : "instant" });
}

/** True if an element is in its pane and not under `cover`, which sticks to the pane's top; of a long one, its beginning. */
export function isInSight(element, pane, cover) {
  const { top, bottom } = element.getBoundingClientRect();
  const lowest = Math.min(bottom, top + pane.clientHeight / 3);
  return top >= cover.getBoundingClientRect().bottom && lowest <= pane.getBoundingClientRect().bottom;
}
