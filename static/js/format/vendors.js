// The calling systems that a source can be of, and what to do in each one's console, in its own words. Pure.
// In texts, **words** are as the console has them, and `words` are code.

const TRANSCRIPT = "Its calls have a transcript, a summary and a recording.";

/**
 * @typedef {object} Vendor
 * @property {string} name
 * @property {string} brings what its calls have and what they lack
 * @property {string} [place] where it is set up, unless at the vendor
 * @property {string[]} steps where to paste the address
 * @property {string} [code] a request that does it, with ADDRESS in place of the address
 * @property {string} eventsHint what to do with `events`
 * @property {string[]} events as the vendor names them
 * @property {{label: string, where: string, example: string, isChosenHere?: boolean}} secret `where` it is found; `isChosenHere`:
 *     the customer makes it up
 * @property {string[]} settings that matter for its sources, see `SETTINGS`
 * @property {string} [also] what else to know
 */

/** @type {Record<string, Vendor>} by the kind of the source */
export const VENDORS = {
  elevenlabs: {
    name: "ElevenLabs",
    brings: TRANSCRIPT,
    steps: [
      "As an admin of the workspace, open **Settings → Webhooks** and create a webhook: this address as its URL, **HMAC** as its authentication, and retries turned on.",
      "In the settings of **Agents**, choose it as **Post-call webhook**.",
    ],
    eventsHint: "Tick these events. Without `audio` calls have no recording.",
    events: ["transcript", "audio", "call_initiation_failure"],
    secret: { label: "Webhook secret", where: "ElevenLabs shows it once, when the webhook is created.", example: "wsec_…" },
    settings: ["numbers", "agentIds", "toleranceS"],
    also: "The secret is one for the whole workspace. To take the calls of some agents alone, name them in the settings below. The recording of an hour is a request of 77 MB: a proxy in front of this server must let it pass.",
  },
  retell: {
    name: "Retell",
    brings: TRANSCRIPT,
    steps: [
      "In the dashboard, open the **Webhooks** tab and enter this address: it gets the events of all agents.",
      "An agent with a webhook URL of its own, `webhook_url`, does not use that of the account: enter the address there as well.",
    ],
    eventsHint: "These come unless you chose others. `call_started` may stay, and is ignored.",
    events: ["call_ended", "call_analyzed"],
    secret: { label: "API key", where: "Under **API Keys**, the key with the badge **Webhook**.", example: "key_…" },
    settings: ["agentIds", "toleranceS"],
    also: "A call appears when it is analyzed, or two minutes after its end.",
  },
  vapi: {
    name: "Vapi",
    brings: TRANSCRIPT,
    steps: [
      "Enter this address as **Server URL**: of the organization, or of an assistant or a phone number, which comes before it.",
      "Do not use it for tools, and not where an `assistant-request` is sent: these expect an answer that this server does not give.",
      "Under **Custom Credentials**, create a credential as described at the secret below, and choose it for the server URL.",
    ],
    eventsHint: "Of the **Server Messages**, tick this one.",
    events: ["end-of-call-report"],
    secret: { label: "Secret of the credential", where: "You choose it when you create the credential.", example: "whsec_…", isChosenHere: true },
    settings: ["numbers", "agentIds", "toleranceS", "fetchPassword"],
    also: "Vapi sends a report once, unless the server URL has a backoff plan: give it one.",
  },
  twilio: {
    name: "Twilio",
    brings: "Its calls have a recording where you record them. Twilio sends no transcript, no summary and no agent.",
    steps: [
      "Under **Phone Numbers → Manage → Active numbers**, open each number, and under **Voice Configuration** enter this address at **Call status changes**, with HTTP POST.",
      "For the calls that you make, give it as `StatusCallback`.",
      "For recordings, give it as `RecordingStatusCallback` too, or as `recordingStatusCallback` of `<Dial>` or `<Record>`.",
    ],
    eventsHint: "There is nothing to tick: unless you choose events, the end of the call alone is sent.",
    events: ["completed"],
    secret: { label: "Auth token", where: "On the first page of the console, under **Account Info**.", example: "32 letters and digits" },
    settings: ["numbers", "publicUrl", "fetchUser", "fetchPassword"],
    also: "Twilio signs the address that it calls. If it reaches this server under another one than you do, enter that under **Public URL** below. It repeats a request once, for failed connections alone: `#rc=3&rp=5xx` behind the address has it repeat more.",
  },
  standard: {
    name: "Standard Webhooks",
    place: "in your system",
    brings: "For a system of your own, which then needs no API key. Its calls have what it sends.",
    steps: [
      'Send `{"type": "call.completed", "timestamp": "…", "data": {…}}` by POST to this address. `data` is a call as in the guide for vendors; it may be sent alone, too.',
      "Sign it as standardwebhooks.com describes: `webhook-id`, `webhook-timestamp` and `webhook-signature`.",
    ],
    eventsHint: "The type is:",
    events: ["call.completed"],
    secret: { label: "Signing secret", where: "`whsec_` and 24 to 64 random bytes in base64; both sides have it.", example: "whsec_…", isChosenHere: true },
    settings: ["toleranceS"],
  },
  bland: {
    name: "Bland",
    brings: "Its calls have a transcript and a summary, and a recording where you turn `record` on. Bland names no agent: this source's name stands for it.",
    steps: ["Give this address as `webhook` when you send a call, and as the webhook of each inbound number."],
    eventsHint: "Leave `webhook_events` out: the report after the call comes without.",
    events: [],
    secret: {
      label: "Webhook signing secret",
      where: "In **Account Settings**, on the tab **Keys**: **Replace Secret** makes one and shows it once. Without it nothing is signed, and all is refused.",
      example: "Secret",
    },
    settings: [],
  },
  quo: {
    name: "Quo",
    brings: "Formerly OpenPhone. Its calls have a transcript, a summary and a recording, as far as your plan has them.",
    steps: [
      "Create the webhook with Quo's API, with a key from **Settings → API**. Webhooks made in the app are of an older kind: they are read as well.",
    ],
    code: `curl https://api.openphone.com/webhooks \\
  -H "Authorization: $QUO_API_KEY" -H "Content-Type: application/json" \\
  -H "x-quo-api-version: 2026-03-30" \\
  -d '{"url": "ADDRESS", "events": ["call.completed", "call.recording.completed",
       "call.transcript.completed", "call.summary.completed"]}'`,
    eventsHint: "The events are:",
    events: ["call.completed", "call.recording.completed", "call.transcript.completed", "call.summary.completed"],
    secret: { label: "Signing key", where: "`key` in the answer to that request.", example: "whsec_…" },
    settings: ["toleranceS"],
    also: "An answered call appears when its other parts are there, or two minutes after its end.",
  },
  telnyx: {
    name: "Telnyx",
    brings: "Its calls have a recording where you record them. Telnyx sends no transcript.",
    steps: ["Open your **Voice API Application** and enter this address as **Webhook URL**, with **API v2**."],
    eventsHint: "There is nothing to tick: Telnyx sends all events. These are used.",
    events: ["call.initiated", "call.answered", "call.hangup", "call.recording.saved"],
    secret: { label: "Public key", where: "In the portal, under **Account Settings → Keys & Credentials → Public Key**.", example: "44 letters and digits" },
    settings: ["numbers", "toleranceS"],
    also: "Enter your own numbers in the settings below: a hang-up does not say whether the call came in or went out. Enter the address as failover URL too: Telnyx repeats a request there alone.",
  },
};

/** What proves that a webhook is from Vapi: the settings of its credential. */
export const PROOFS = {
  standard: {
    name: "Standard Webhooks (recommended)",
    text: "Type **HMAC**, algorithm `sha256`, signature header `webhook-signature`, prefix `v1,` and timestamp header `webhook-timestamp`, message ID header `webhook-id`, payload format `{svix-id}.{timestamp}.{body}`, encoding `base64`, and the secret is base64: enter there what follows `whsec_`.",
  },
  hmac: {
    name: "HMAC as Vapi suggests it",
    text: "Type **HMAC**, algorithm `sha256`, signature header `x-signature`, timestamp header `x-timestamp`, payload format `{timestamp}.{body}`, encoding `hex`. `x-vapi-signature` over the body alone is taken as well.",
  },
  secret: {
    name: "The secret itself",
    text: "Type **Bearer Token**; or the older field `secret`, which Vapi sends as `X-Vapi-Secret`. Whoever sees one request knows the secret.",
  },
};

/** The name of a source's kind. */
export const kindName = (kind) => (kind === "api" ? "API" : (VENDORS[kind]?.name ?? kind));

/** What a new source of a kind is set to. @param {string} server its address */
export function firstSettings(kind, server) {
  if (kind === "twilio") return { publicUrl: server };
  return kind === "vapi" ? { proof: "standard" } : {};
}

/** A vendor's text as [{text, is: "plain" | "ui" | "code"}]. */
export function wordsOf(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).flatMap((part) => {
    if (part === "") return [];
    if (part.startsWith("**")) return [{ text: part.slice(2, -2), is: "ui" }];
    if (part.startsWith("`")) return [{ text: part.slice(1, -1), is: "code" }];
    return [{ text: part, is: "plain" }];
  });
}
