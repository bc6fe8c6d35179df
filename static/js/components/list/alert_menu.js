import { playSound, requestPermission } from "../../browser/notifications.js";
import { describeFilter } from "../../format/filter.js";
import { parseFilter, serializeFilter } from "../../search/filter.js";
import { html, useApp, useDismiss, useObservable, useRef, useState } from "../../ui.js";
import { Icon } from "../icon.js";

/** The bell: alerts for new calls that match the current filter. */
export function AlertMenu({ filter }) {
  const { alerts } = useApp();
  useObservable(alerts);
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const { desktop, sound } = alerts.rule(filter);
  const isOn = desktop || sound;
  useDismiss(root, isOpen, () => setOpen(false));

  return html`<div class="menu" ref=${root}>
    <button
      class="tool"
      type="button"
      aria-expanded=${isOpen ? "true" : "false"}
      aria-label=${`Alerts: ${isOn ? "on" : "off"} for this view`}
      data-on=${isOn ? "" : null}
      onClick=${() => setOpen(!isOpen)}
    >
      <${Icon} name=${isOn ? "bell-on" : "bell"} /><span aria-hidden="true">Alerts</span>
    </button>
    ${isOpen && html`<${Panel} filter=${filter} />`}
  </div>`;
}

function Panel({ filter }) {
  const { alerts } = useApp();
  const [isBlocked, setBlocked] = useState(false);
  const { desktop, sound } = alerts.rule(filter);
  const others = [...alerts.rules.keys()].filter((key) => key !== serializeFilter(filter));

  async function setDesktop(event) {
    const { checked } = event.currentTarget;
    const isAllowed = !checked || (await requestPermission());
    setBlocked(!isAllowed);
    alerts.set(filter, { desktop: checked && isAllowed });
  }
  function setSound(event) {
    const { checked } = event.currentTarget;
    alerts.set(filter, { sound: checked });
    if (checked) playSound(); // a preview; and this click lets the browser play sounds later
  }
  return html`<div class="menu-panel" role="group" aria-label="Alerts">
    <p class="menu-title">Alerts for this view</p>
    <p class="muted small">${describeFilter(filter, Date.now())}</p>
    <label class="check"><input type="checkbox" checked=${desktop} onChange=${setDesktop} /> Show a desktop notification</label>
    ${
      isBlocked &&
      html`<p class="form-error small" role="alert">Notifications are blocked. Allow them for this site in your browser settings.</p>`
    }
    <label class="check"><input type="checkbox" checked=${sound} onChange=${setSound} /> Play a sound</label>
    ${
      others.length > 0 &&
      html`<p class="menu-title">Alerts for other views</p>
        <ul role="list">
          ${others.map((key) => html`<${Other} key=${key} filter=${parseFilter(new URLSearchParams(key))} alerts=${alerts} />`)}
        </ul>`
    }
  </div>`;
}

function Other({ filter, alerts }) {
  const text = describeFilter(filter, Date.now());
  const turnOff = () => alerts.set(filter, { desktop: false, sound: false });
  return html`<li class="menu-item">
    <bdi>${text}</bdi>
    <button class="icon-button" type="button" aria-label=${`Turn off alerts for ${text}`} onClick=${turnOff}>
      <${Icon} name="close" />
    </button>
  </li>`;
}
