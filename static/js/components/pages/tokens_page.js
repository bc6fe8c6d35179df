import { serverAddress } from "../../browser/server_address.js";
import { commandFor, scopeNames } from "../../format/read_token.js";
import { exactTime, instant, relativeTime, shortDay } from "../../format/time.js";
import { html, useApp, useAsync, useEffect, useNow, useRef, useState } from "../../ui.js";
import { Loading } from "../loading.js";
import { Copy } from "./copy.js";
import { NewToken } from "./new_token.js";
import { PageFailed } from "./page_failed.js";

const CLOCK_MS = 15_000;

/** The read tokens of the organization: making one, which is shown once, and revoking. For admins. */
export function Content() {
  const { api, title } = useApp();
  const { value: tokens, error, reload } = useAsync((signal) => api.tokens({ signal }), []);
  const [made, setMade] = useState(null); // {token, readToken}: shown until another one is made
  const [isMaking, setMaking] = useState(false);
  const nowMs = useNow(CLOCK_MS);
  useEffect(() => title.show("Read tokens"), []);
  const show = (answer) => {
    setMade(answer);
    setMaking(false);
    reload();
  };
  const revoked = (id) => {
    if (made?.readToken.id === id) setMade(null);
    reload();
  };
  const head = html`<header class="page-head people-head">
    <h2 class="page-title">Read tokens</h2>
    ${tokens && html`<button class="button button-main" type="button" aria-expanded=${isMaking ? "true" : "false"} onClick=${() => setMaking(!isMaking)}>New token</button>`}
  </header>`;
  if (error && !tokens) return html`<${PageFailed} head=${head} error=${error} reload=${reload} />`;
  if (!tokens) return html`<${Loading} />`;
  return html`<div class="people">
    ${head}
    <p class="muted token-about">
      With a read token a program follows the events or reads calls, without anybody's password. It changes nothing, and goes on when people
      leave. <a href="docs">API reference</a>
    </p>
    ${isMaking && html`<${NewToken} onMade=${show} onCancel=${() => setMaking(false)} />`}
    ${made && html`<${MadeToken} key=${made.readToken.id} made=${made} close=${() => setMade(null)} />`}
    ${
      tokens.length === 0
        ? html`<p class="muted">No read tokens yet.</p>`
        : html`<ul class="person-list" role="list">
            ${tokens.map((token) => html`<${Token} key=${token.id} token=${token} nowMs=${nowMs} onRevoked=${revoked} />`)}
          </ul>`
    }
  </div>`;
}

function MadeToken({ made: { token, readToken }, close }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const command = commandFor(serverAddress(), token, readToken.scopes);
  return html`<section class="new-link" aria-labelledby="made-title">
    <h3 id="made-title" tabindex="-1" ref=${heading}>Token for <bdi>${readToken.name}</bdi></h3>
    <p>Copy it now: it is not shown again.</p>
    <p class="new-link-line">
      <code class="key" data-testid="token">${token}</code>
      <span class="new-link-actions"><${Copy} text=${token} label="Copy token" /><button class="button" type="button" onClick=${close}>Done</button></span>
    </p>
    ${
      command &&
      html`<p>${readToken.scopes.includes("feed") ? "To follow the events in a terminal:" : "To read the newest calls in a terminal:"}</p>
        <p class="new-link-line">
          <code class="key" data-testid="command">${command}</code>
          <span class="new-link-actions"><${Copy} text=${command} label="Copy command" /></span>
        </p>`
    }
  </section>`;
}

function Token({ token, nowMs, onRevoked }) {
  const { id, name, scopes, createdAt, createdByName, expiresAt, lastUsedAt } = token;
  const isOver = expiresAt !== null && instant(expiresAt) <= nowMs;
  return html`<li class="person token" data-token-id=${id} data-status=${isOver ? "disabled" : "active"}>
    <div class="person-who">
      <p class="person-name"><bdi>${name}</bdi></p>
      <p class="muted small">
        ${scopeNames(scopes)} · made <time datetime=${createdAt} title=${exactTime(createdAt)}>${shortDay(createdAt, nowMs)}</time>
        ${createdByName ? html` by <bdi>${createdByName}</bdi>` : " by the command tether-rt"}
      </p>
    </div>
    <p class="person-state muted small">
      ${isOver && html`<span class="person-tag">Expired</span> `}
      ${!isOver && (expiresAt ? html`Until <time datetime=${expiresAt} title=${exactTime(expiresAt)}>${shortDay(expiresAt, nowMs)}</time>` : "No end")}
      ${" · "}${lastUsedAt ? `used ${relativeTime(lastUsedAt, nowMs)}` : "not used yet"}
    </p>
    <${Revoke} id=${id} name=${name} onRevoked=${onRevoked} />
  </li>`;
}

function Revoke({ id, name, onRevoked }) {
  const { api } = useApp();
  const dialog = useRef(null);
  const [error, setError] = useState(null);
  const revoke = async () => {
    try {
      await api.revokeToken(id);
      onRevoked(id);
    } catch ({ message }) {
      setError(message);
    }
  };
  return html`<button class="button" type="button" aria-label=${`Revoke ${name}`} onClick=${() => dialog.current.showModal()}>Revoke</button>
    ${error && html`<p class="form-error person-note" role="alert">${error}</p>`}
    <dialog class="dialog" ref=${dialog} aria-labelledby=${`revoke-${id}`} onClose=${() => dialog.current.returnValue === "yes" && revoke()}>
      <h2 id=${`revoke-${id}`}>Revoke “<bdi>${name}</bdi>”?</h2>
      <p>Programs that use it are cut off within seconds. A revoked token does not come back.</p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no">Cancel</button>
        <button class="button button-main" value="yes">Revoke token</button>
      </form>
    </dialog>`;
}
