import { filterText, filterWords, readFilter } from "../../search/filter.js";
import { chime, mayNotify } from "../../browser/notifications.js";
import { html, useEffect, useParts, useRef, useState, useWatched } from "../../ui.js";
import { Icon } from "../icon.js";

/** The bell: what to be told of while looking elsewhere, for the calls of the view that is shown. */
export function NoticeMenu({ filter }) {
  const { notices } = useParts();
  useWatched(notices);
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const { desktop, sound } = notices.rule(filter);
  const isOn = desktop || sound;
  useClosing(root, isOpen, () => setOpen(false));

  return html`<div class="menu" ref=${root}>
    <button
      class="tool"
      type="button"
      aria-expanded=${isOpen ? "true" : "false"}
      aria-label=${`Notices: ${isOn ? "on" : "off"} for this view`}
      data-on=${isOn ? "" : null}
      onClick=${() => setOpen(!isOpen)}
    >
      <${Icon} name=${isOn ? "bell-on" : "bell"} /><span aria-hidden="true">Notices</span>
    </button>
    ${isOpen && html`<${Choices} filter=${filter} />`}
  </div>`;
}

function Choices({ filter }) {
  const { notices } = useParts();
  const [isRefused, setRefused] = useState(false);
  const { desktop, sound } = notices.rule(filter);
  const others = [...notices.rules.keys()].filter((text) => text !== filterText(filter));

  async function setDesktop(event) {
    const { checked } = event.currentTarget;
    const isAllowed = !checked || (await mayNotify());
    setRefused(!isAllowed);
    notices.set(filter, { desktop: checked && isAllowed });
  }
  function setSound(event) {
    const { checked } = event.currentTarget;
    notices.set(filter, { sound: checked });
    if (checked) chime(); // what it will sound like; and the click lets the browser play it later
  }
  return html`<div class="menu-panel" role="group" aria-label="Notices">
    <p class="menu-title">When such a call comes in</p>
    <p class="muted small">${filterWords(filter)}</p>
    <label class="check"><input type="checkbox" checked=${desktop} onChange=${setDesktop} /> Show a desktop notification</label>
    ${isRefused && html`<p class="form-error small" role="alert">This browser does not allow it. Its settings for this site can.</p>`}
    <label class="check"><input type="checkbox" checked=${sound} onChange=${setSound} /> Play a sound</label>
    ${
      others.length > 0 &&
      html`<p class="menu-title">Also told of</p>
        <ul role="list">
          ${others.map((text) => html`<${Other} key=${text} filter=${readFilter(new URLSearchParams(text))} notices=${notices} />`)}
        </ul>`
    }
  </div>`;
}

function Other({ filter, notices }) {
  const words = filterWords(filter);
  const end = () => notices.set(filter, { desktop: false, sound: false });
  return html`<li class="menu-item">
    <bdi>${words}</bdi>
    <button class="icon-button" type="button" aria-label=${`End the notices for ${words}`} onClick=${end}>
      <${Icon} name="close" />
    </button>
  </li>`;
}

// Esc, or a click beside it, closes a menu; Esc gives the focus back to its button.
function useClosing(root, isOpen, close) {
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
