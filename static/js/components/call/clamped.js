import { html, useEffect, useRef, useState } from "../../ui.js";

/** A text of at most four lines, and what shows the rest if there is more. */
export function Clamped({ children }) {
  const text = useRef(null);
  const [isOpen, setOpen] = useState(false);
  const [isCut, setCut] = useState(false);
  useEffect(() => {
    const sizes = new ResizeObserver(([{ target }]) => setCut(target.scrollHeight > target.clientHeight + 1));
    sizes.observe(text.current);
    return () => sizes.disconnect();
  }, []);
  return html`<p ref=${text} class="call-summary" dir="auto" data-open=${isOpen ? "" : null}>${children}</p>
    ${
      (isCut || isOpen) &&
      html`<button class="more" type="button" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>
        ${isOpen ? "Less" : "More"}
      </button>`
    }`;
}
