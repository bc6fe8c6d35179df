/** The audio of a recording. */
export type Recording = Blob | ArrayBuffer | ArrayBufferView | ReadableStream<Uint8Array>;

export interface ClientOptions {
  /** What sends calls: `tk_live_…`. Keep it out of pages. */
  apiKey?: string;
  /** What follows events: a read token with the scope `feed`, `tr_live_…`, or a session's token. */
  token?: string;
  /** Called before each pause: a server that is away is waited for without a word otherwise. */
  onRetry?: (error: unknown, pauseMs: number) => void;
}

/** One client can send and follow any number of times, also at once. */
export class Client {
  /** `url` is the server's address, with the path in front of it where it has one: `https://host/tether`. */
  constructor(url: string | URL, options?: ClientOptions);

  /**
   * Sends a call until it is stored. Network failures, 408, 425, 429 and 5xx are tried again, after at least the `Retry-After` of
   * the answer. Rejects with `Refused`, with `GaveUp` after `giveUpMs`, and with the signal's reason.
   */
  send(call: Call, options?: SendOptions): Promise<Sent>;

  /**
   * Follows the organization's events: each once and in order, also across broken connections. Ends by `break`, by the
   * signal, whose reason it throws, by `Unauthorized` when the token does not hold any more, and by `Refused`.
   */
  follow(options?: FollowOptions): AsyncGenerator<FeedItem, never, undefined>;
}

export interface SendOptions {
  /** Becomes the call's `recording`, in base64. */
  recording?: Recording;
  signal?: AbortSignal;
  /** An hour, unless given. */
  giveUpMs?: number;
}

export interface FollowOptions {
  /** The `position` of the last item that you have dealt with; without it, what is committed from now on. */
  after?: string | number;
  signal?: AbortSignal;
}

/** A call as `POST /api/calls/ingest` takes it; a completed one needs `transcript`, `summary` and `recording`. */
export interface Call {
  direction: "inbound" | "outbound";
  fromNumber: string;
  toNumber: string;
  /** Seconds. */
  duration: number;
  status: CallStatus;
  /** Your own id of the call, which makes a retry safe. */
  externalCallId: string;
  transcript?: Turn[];
  summary?: string;
  /** Audio in base64, or an address from which the server fetches it. */
  recording?: string;
  agentName?: string;
  callerName?: string;
  /** RFC 3339, with an offset. */
  callStartTime?: string;
  historic?: true;
  metadata?: Record<string, unknown>;
}

export type CallStatus = "completed" | "no-answer" | "busy" | "failed";

export interface Turn {
  role: "agent" | "user";
  message: string;
  /** Seconds into the call. */
  timestamp?: number;
}

export interface Sent {
  callId: string;
  /** Whether a call with this `externalCallId` was there already, perhaps from an attempt whose answer was lost. */
  deduplicated: boolean;
  /** The names of the fields in which this call differs from the stored one. */
  differs: string[];
  /** What is odd about the call; empty where it was there already. */
  warnings: Warning[];
}

export interface Warning {
  code: string;
  field: string | null;
  message: string;
}

export interface Fault {
  code: string;
  field: string | null;
  error: string;
}

export class ClientError extends Error {}

/** The server said no and would say it again. */
export class Refused extends ClientError {
  constructor(status: number, body: unknown);
  /** 0 where a browser does not tell it. */
  status: number;
  code: string | null;
  field: string | null;
  /** Everything that is wrong with the call. */
  errors: Fault[];
  requestId: string | null;
}

/** The server does not know the key or token, or no longer. */
export class Unauthorized extends Refused {}

/** The call was not taken in time; `cause` says why the last attempt failed. It may be stored all the same: send it again. */
export class GaveUp extends ClientError {}

/** Later servers may send events with other names: leave them to a `default`. */
export type FeedItem = FeedEvent | Resync;

export type FeedEvent =
  | CallInitiated
  | CallEnded
  | CallRecordingReady
  | FetchMessages
  | CallUpdated
  | RecordingFailed
  | ContactUpdated
  | CallDeleted
  | ContactDeleted
  | CallsExpired
  | Erased;

/** The events up to here cannot be had: fetch the present state by HTTP. The next item continues after it. */
export interface Resync {
  event: "resync";
  epoch: string;
  seq: number;
  reason: string;
  position: string;
}

interface EventOf<Name extends string, Data> {
  event: Name;
  /** One more than that of the event before. */
  seq: number;
  /** The same for ever: a key where you store what you saw. */
  id: string;
  /** When it was committed. */
  at: string;
  data: Data;
  /** Give this to `follow` as `after` to go on behind this event. */
  position: string;
}

interface OfCall {
  callId: string;
  contactId: string;
  conversationId: string;
}

interface OfContact {
  contactId: string;
  conversationId: string;
}

export type CallInitiated = EventOf<
  "call_initiated",
  OfCall & {
    contactName: string;
    direction: "inbound" | "outbound";
    /** Null for a caller who withheld the number. */
    from: string | null;
    fromWithheld?: true;
    to: string;
    agentName: string | null;
    provider: string;
    startTime: string;
    /** The start as it was sent, where it lies more than 15 minutes ahead. */
    callStartTime?: string;
    historic?: boolean;
  }
>;

export type CallEnded = EventOf<
  "call_ended",
  OfCall & { status: CallStatus; duration: number; endTime: string; summary: string | null }
>;

export type CallRecordingReady = EventOf<
  "call_recording_ready",
  OfCall & { recordingId: string; duration: number | null; contentType: string }
>;

export type FetchMessages = EventOf<"fetch_messages", OfCall>;

export type CallUpdated = EventOf<
  "call_updated",
  OfCall & {
    changed: string[];
    status: CallStatus;
    duration: number;
    summary: string | null;
    agentName: string | null;
    contactName: string;
    startTime: string;
    endTime: string;
    callStartTime?: string;
  }
>;

export type RecordingFailed = EventOf<"recording_failed", OfCall & { code: string; error: string }>;

export type ContactUpdated = EventOf<"contact_updated", OfContact & { contactName: string }>;

export type CallDeleted = EventOf<"call_deleted", OfCall>;

export type ContactDeleted = EventOf<"contact_deleted", OfContact>;

export type CallsExpired = EventOf<"calls_expired", { before: string }>;

/** An earlier event of what was erased since: nothing to do. */
export type Erased = EventOf<"erased", {}>;
