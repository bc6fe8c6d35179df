import { jsonLines } from "../../format/json_lines.js";
import { contentType, parsePayload } from "../../format/payload.js";
import { VENDORS } from "../../format/vendors.js";
import { reasonOf, wouldBe } from "../../format/verdicts.js";
import { payloadTestHref } from "../../route.js";
import { html, useApp, useAsync, useEffect, useMemo, useRef, useState } from "../../ui.js";
import { CallFacts, Details, Missing, Outcome } from "../call/call_facts.js";
import { Turns } from "../call/transcript.js";
import { Loading } from "../loading.js";
import { AdminNav } from "./admin_nav.js";
import { Field } from "./field.js";
import { JsonBody } from "./json_body.js";
import { PageFailed } from "./page_failed.js";
import { Trail } from "./trail.js";
import { Verdict } from "./verdict.js";

const NO_MARKS = new Map();
const NOTHING_WRONG = new Map();

/** Shows what would become of a vendor's payload, and how it would be read. Nothing is stored. For admins. */
export function Content({ filter }) {
  const { api, title } = useApp();
  const { value: sources, error, reload } = useAsync((signal) => api.sources({ signal }), []);
  useEffect(() => title.show("Test a payload"), []);
  const head = html`<${AdminNav} current="payload-test" />`;
  if (error && !sources) return html`<${PageFailed} head=${head} error=${error} reload=${reload} />`;
  if (!sources) return html`<${Loading} />`;
  return html`<div class="deliveries">
    ${head}
    <p class="muted">What would become of a webhook, and where each field of the call would come from. Nothing is stored and nothing is fetched.</p>
    <${Test} sources=${sources.filter(({ kind }) => kind in VENDORS)} sourceId=${filter.source ?? ""} />
  </div>`;
}

function Test({ sources, sourceId }) {
  const { api } = useApp();
  const chosen = sources.find(({ id }) => id === sourceId);
  const [vendor, setVendor] = useState(chosen?.kind ?? sources[0]?.kind ?? "elevenlabs");
  const [text, setText] = useState("");
  const [state, setState] = useState({ isBusy: false, result: null, error: null });
  const kind = chosen?.kind ?? vendor;
  const choose = (id) => location.replace(payloadTestHref(id || undefined));
  const test = async (event) => {
    event.preventDefault();
    setState({ ...state, isBusy: true, error: null });
    try {
      const found = await api.dryRun(kind, { type: contentType(kind), text }, chosen?.id ?? null);
      setState({ isBusy: false, error: null, result: { ...found, payload: parsePayload(text, kind) } });
    } catch ({ message }) {
      setState({ isBusy: false, result: null, error: message });
    }
  };
  const readFile = async (file) => file && setText(await file.text());
  const drop = (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return; // dropped text goes where the browser puts it
    event.preventDefault();
    readFile(file);
  };
  return html`<form class="payload-test" onSubmit=${test}>
      <div class="payload-choices">
        <${Field} id="vendor" label="Vendor">
          <select
            id="vendor"
            onChange=${(event) => {
              setVendor(event.currentTarget.value);
              if (chosen) choose("");
            }}
          >
            ${Object.entries(VENDORS).map(([value, { name }]) => html`<option value=${value} selected=${value === kind}>${name}</option>`)}
          </select>
        <//>
        <${Field} id="source" label="With the settings of">
          <select id="source" onChange=${(event) => choose(event.currentTarget.value)}>
            <option value="" selected=${!chosen}>No source</option>
            ${sources
              .filter((source) => source.kind === kind)
              .map(({ id, name }) => html`<option key=${id} value=${id} selected=${id === chosen?.id}>${name}</option>`)}
          </select>
        <//>
        <${Field} id="file" label="Payload from a file">
          <input id="file" type="file" accept=".json,.txt,application/json,text/plain" onChange=${(event) => readFile(event.currentTarget.files[0])} />
        <//>
      </div>
      <${Field} id="payload" label="Payload" hint=${`The body of the request as ${VENDORS[kind].name} sends it. A file can be dropped here.`}>
        <textarea
          class="mono"
          id="payload"
          aria-describedby="payload-hint"
          rows="10"
          required
          spellcheck=${false}
          value=${text}
          placeholder=${kind === "twilio" ? "CallSid=…&CallStatus=completed&…" : "{ … }"}
          onInput=${(event) => setText(event.currentTarget.value)}
          onDragOver=${(event) => event.preventDefault()}
          onDrop=${drop}
        ></textarea>
      <//>
      <p class="settings-save">
        <button class="button button-main" type="submit" disabled=${state.isBusy}>${state.isBusy ? "Testing…" : "Test"}</button>
        ${state.error && html`<span class="form-error" role="alert">${state.error}</span>`}
      </p>
    </form>
    ${state.result && html`<${Result} result=${state.result} />`}`;
}

function Result({ result }) {
  const { verdict, code, field, call, notes, payload, missing } = result;
  const heading = useRef(null);
  const root = useRef(null);
  useEffect(() => heading.current.focus(), [result]);
  const lines = useMemo(() => (payload === undefined ? null : jsonLines(payload)), [payload]);
  const reason = reasonOf(result);
  return html`<section class="dry-run" aria-labelledby="result-title">
    <div class="box verdict-box" data-verdict=${verdict}>
      <h3 id="result-title" tabindex="-1" ref=${heading}><${Verdict} verdict=${verdict} /> ${wouldBe(verdict)}</h3>
      ${reason && html`<p>${reason}</p>`}
      ${(code || field) && html`<p class="small muted">${code && html`<span class="mono">${code}</span>`} ${field && html` at <bdi class="mono">${field}</bdi>`}</p>`}
    </div>
    ${call && html`<${Call} call=${call} missing=${missing} />`}
    <div class="delivery-parts" ref=${root}>
      <section class="delivery-beside" aria-labelledby="trail-title">
        <h3 id="trail-title">How it was read</h3>
        ${notes.length === 0 ? html`<p class="muted">Nothing was read.</p>` : html`<${Trail} notes=${notes} lines=${lines} body=${root} />`}
      </section>
      <section aria-labelledby="payload-title">
        <h3 id="payload-title">Payload</h3>
        ${
          lines
            ? html`<${JsonBody} lines=${lines} wrong=${NOTHING_WRONG} label="Payload, line by line" />`
            : html`<p class="muted">It cannot be read.</p>`
        }
      </section>
    </div>
  </section>`;
}

// The call as it would be stored: what its own page would show of it.
function Call({ call, missing }) {
  const turns = call.transcription ?? [];
  const names = { agent: call.agentName || "Agent", user: call.callerName || "Caller" };
  return html`<section class="call-preview" aria-labelledby="preview-title">
    <h3 id="preview-title">The call as it would be</h3>
    <${CallFacts} call=${call} />
    ${call.summary && html`<p class="call-summary" dir="auto">${call.summary}</p>`}
    <${Missing} missing=${missing} />
    <${Outcome} outcome=${call.outcome} />
    <${Details} call=${call} />
    ${
      turns.length > 0 &&
      html`<details class="call-preview-turns">
        <summary>Transcript, ${turns.length} turns</summary>
        <${Turns} turns=${turns} names=${names} marks=${NO_MARKS} match=${null} at=${-1} play=${null} />
      </details>`
    }
  </section>`;
}
