import { plural } from "../../format/number.js";
import { exactTime, shortTime } from "../../format/time.js";
import { html, useApp, useRef, useState } from "../../ui.js";
import { Copy } from "./copy.js";
import { Field } from "./field.js";

const MAX_SECRETS = 5;

/** Sets the secrets of a vendor's source. The server never shows them again, and what is entered replaces all of them. */
export function SecretForm({ source, secret, reload }) {
  const { api } = useApp();
  const { id, secrets } = source;
  const [isOpen, setOpen] = useState(secrets.length === 0);
  const [entered, setEntered] = useState([""]);
  const [made, setMade] = useState(null); // a secret that was made here
  const [state, setState] = useState({ isBusy: false, error: null });
  const form = useRef(null);
  const enter = (index, text) => setEntered(entered.map((old, at) => (at === index ? text : old)));
  const make = () => {
    const text = newSecret();
    setMade(text);
    enter(entered.length - 1, text);
  };
  const save = async (event) => {
    event.preventDefault();
    const given = entered.map((text) => text.trim()).filter(Boolean);
    if (given.length === 0) return form.current.querySelector("input").focus();
    setState({ isBusy: true, error: null });
    try {
      await api.changeSource(id, { secrets: given });
      setEntered([""]);
      setOpen(false);
      setState({ isBusy: false, error: null });
      reload();
    } catch ({ message }) {
      setState({ isBusy: false, error: message });
    }
  };
  return html`<p role="status">${secrets.length > 0 && html`<${Present} secrets=${secrets} />`}</p>
    ${
      made &&
      html`<div class="new-key">
        <p class="key-line">
          <code class="key" data-testid="made-secret">${made}</code>
          <${Copy} text=${made} label="Copy secret" />
        </p>
        <p class="small">Copy it for the sending side now: it is not shown again.</p>
      </div>`
    }
    ${
      isOpen
        ? html`<form class="secret-form" ref=${form} onSubmit=${save}>
            ${entered.map(
              (text, index) => html`<${Field} key=${index} id=${`secret-${index}`} label=${entered.length > 1 ? `${secret.label} ${index + 1}` : secret.label}>
                <input
                  id=${`secret-${index}`}
                  type="password"
                  value=${text}
                  maxlength="1024"
                  placeholder=${secret.example}
                  autocomplete="off"
                  autocapitalize="off"
                  spellcheck=${false}
                  onInput=${(event) => enter(index, event.currentTarget.value)}
                />
              <//>`,
            )}
            <p class="secret-buttons">
              <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Saving…" : "Save"}</button>
              ${secret.isChosenHere && html`<button class="button" type="button" onClick=${make}>Make a secret</button>`}
              ${
                secrets.length > 0 &&
                html`<button class="button" type="button" disabled=${entered.length >= MAX_SECRETS} onClick=${() => setEntered([...entered, ""])}>
                    Add another
                  </button>
                  <button class="button" type="button" onClick=${() => setOpen(false)}>Cancel</button>`
              }
            </p>
            ${secrets.length > 0 && html`<p class="muted small">What you save replaces all secrets. While the vendor changes over, enter the old and the new one.</p>`}
          </form>`
        : html`<p><button class="button" type="button" onClick=${() => setOpen(true)}>Replace…</button></p>`
    }
    ${state.error && html`<p class="form-error" role="alert">${state.error}</p>`}`;
}

function Present({ secrets }) {
  const { createdAt } = secrets.at(-1);
  return html`${plural(secrets.length, "secret")} set, ${secrets.length > 1 && "the last "}
    <time datetime=${createdAt} title=${exactTime(createdAt)}>${shortTime(createdAt, Date.now())}</time>. It is never shown.`;
}

// As Standard Webhooks has it: 32 random bytes in base64.
function newSecret() {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
}
