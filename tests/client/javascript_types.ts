// How a program in TypeScript uses the package: it must compile, and where it is wrong it must not.
import { Client, Refused, GaveUp, type Call, type CallInitiated, type FeedItem } from "@tether-rt/client";

const client = new Client("https://calls.example.com/tether", { apiKey: "tk_live_", token: "tr_live_", onRetry: console.warn });
const call: Call = {
  direction: "inbound",
  fromNumber: "anonymous",
  toNumber: "+14165550100",
  duration: 12.5,
  status: "completed",
  externalCallId: "1",
  transcript: [{ role: "agent", message: "Hello.", timestamp: 0.5 }],
  summary: "Nobody spoke.",
  metadata: { campaign: ["a"] },
};
// @ts-expect-error a call needs an id of its own
const nameless: Call = { direction: "inbound", fromNumber: "+1", toNumber: "+1", duration: 0, status: "busy" };
// @ts-expect-error a field that the contract does not have
const misspelt: Call = { ...call, callername: "Mia" };

export async function send(): Promise<string> {
  try {
    const { callId, warnings } = await client.send(call, {
      recording: new Blob([new Uint8Array(3)]),
      signal: AbortSignal.timeout(1000),
    });
    return warnings[0]?.message ?? callId;
  } catch (error) {
    if (error instanceof Refused) return error.errors.map((each) => `${each.field}: ${each.error}`).join();
    if (error instanceof GaveUp) return error.message;
    throw error;
  }
}

export async function follow(): Promise<void> {
  for await (const item of client.follow({ after: "9f.7" })) {
    if (item.event === "resync") console.log(item.reason, item.epoch);
    else if (item.event === "call_initiated") console.log(item.data.from?.length, item.data.contactName, item.position);
    else if (item.event === "calls_expired") console.log(item.data.before);
    // @ts-expect-error an event without a call
    else if (item.event === "contact_updated") console.log(item.data.callId);
    else if (item.event === "erased") console.log(item.seq, item.id, item.at);
  }
}

export const started = (item: FeedItem): item is CallInitiated => item.event === "call_initiated";
void nameless, void misspelt;
