// The WebSocket to the hub: reconnects, resumes where it stopped, and delivers each event exactly once.
//
// `position.js` interprets the messages; this file does the I/O and the timing. A page cannot see WebSocket pings, so a
// dead connection is detected in other ways: after about two heartbeats without a message the session is checked by HTTP,
// which is cheaper for the server than a new connection. `renew()` replaces the connection if that check fails, after
// SILENCE_MS without a message, and after sleep or a change of network (`page_lifecycle.js`).

import { Observable } from "../observable.js";
import { backoffMs, resumeMs } from "./backoff.js";
import { advance, behind, resumeToken, START } from "./position.js";

const SUBPROTOCOL = "tether.v1";
const CLOSED = { goingAway: 1001, sessionEnded: 4401, roleChanged: 4403, tooSlow: 4408 };

const HELLO_TIMEOUT_MS = 10_000; // from connecting to the hello
const STABLE_MS = 10_000; // a connection that lasts this long resets the count of failures
const QUIET_MS = 2_000; // a renewal that takes longer is shown as "Reconnecting"
const SILENCE_MS = 300_000; // without a message for this long the connection is renewed
const HEARTBEAT_MS = 20_000; // until the hello names another
const CHECK_TIMEOUT_MS = 4_000; // if the session check takes longer, the connection counts as dead
const CAUGHT_UP_MS = 8_000; // how long "Caught up on 12" is shown
const RECENT_MS = 5_000; // a message this recent proves that the connection is alive

const BROWSER = {
  WebSocket: globalThis.WebSocket,
  setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
  now: () => performance.now(),
  random: Math.random,
};

/**
 * `status` is one of
 *   idle          not started, or stopped
 *   connecting    the first hello has not arrived
 *   live          every committed event has arrived
 *   catching-up   reconnected, `behind` events are still to come
 *   reconnecting  not connected; `failures` attempts in a row have failed
 *   ended         the session has ended
 */
export class LiveConnection extends Observable {
  status = "idle";
  position = START;
  failures = 0;
  /** How many events the last reconnection delivered; 0 again after some seconds. */
  caughtUp = 0;
  /** How many events were no longer available, so that the calls were loaded again instead. */
  missed = 0;

  #url;
  #listener;
  #env;
  #socket = null;
  #timers = new Map();
  #backlog = 0;
  #receivedAtMs = -Infinity;
  #heartbeatMs = HEARTBEAT_MS;

  /**
   * @param {string} url of the hub, ws: or wss:
   * @param {object} listener
   *   onBegin()                 the first hello: load the calls; events follow
   *   onEvent(event)            the next event; each exactly once and in order
   *   onResync()                some events are not available: load the calls again
   *   onOrganizationChange()    the session belongs to another organization now
   *   onSessionExpired()        the user has to sign in again
   *   hasSession()              → Promise<boolean>; called when a handshake fails, because browsers do not say why, and
   *                             after a time without messages
   * @param {object} options `env` replaces the browser's socket and clock; `schedule` as for Observable
   */
  constructor(url, listener, { env = BROWSER, schedule } = {}) {
    super(schedule);
    this.#url = url;
    this.#listener = listener;
    this.#env = env;
  }

  get behind() {
    return behind(this.position);
  }

  start() {
    if (this.status !== "idle") return;
    this.#show("connecting");
    this.#connect();
  }

  /** Closes the connection and resets the position. Idempotent. */
  stop() {
    this.#detach();
    this.position = START;
    this.failures = 0;
    this.missed = 0;
    this.#show("idle");
  }

  /** Connects now if a retry is pending, and replaces a connection that may be dead. */
  renew() {
    if (this.status === "idle" || this.status === "ended") return;
    if (this.#socket && this.#env.now() - this.#receivedAtMs < RECENT_MS) return;
    const wasUp = this.#socket !== null && (this.status === "live" || this.status === "catching-up");
    this.#detach();
    if (wasUp) this.#after("quiet", QUIET_MS, () => this.#show("reconnecting"));
    this.#connect();
  }

  #connect() {
    const after = resumeToken(this.position);
    const socket = new this.#env.WebSocket(after === null ? this.#url : `${this.#url}?after=${after}`, [SUBPROTOCOL]);
    this.#socket = socket;
    let hadHello = false;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#receivedAtMs = this.#env.now();
      this.#after("silence", SILENCE_MS, () => this.renew());
      hadHello = true;
      this.#receive(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#onClose(code, hadHello);
    };
    this.#after("hello", HELLO_TIMEOUT_MS, () => this.#onClose(0, false));
  }

  #receive(text) {
    const message = parse(text);
    if (message?.event === "hello" && message.heartbeat > 0) this.#heartbeatMs = message.heartbeat * 1000;
    this.#scheduleCheck();
    const { step, position } = advance(this.position, message);
    const skipped = position.seq - this.position.seq;
    this.position = position;
    switch (step) {
      case "begin":
        this.#onHello();
        this.#listener.onBegin();
        break;
      case "resume":
        this.#onHello();
        break;
      case "resync":
        this.missed += Math.max(0, skipped);
        this.#onHello();
        this.#listener.onResync();
        break;
      case "apply":
        this.failures = 0;
        this.#listener.onEvent(message);
        this.#checkCaughtUp();
        break;
      case "gap":
        this.#onClose(0, true);
        break;
      case "other-organization":
        this.stop();
        this.#listener.onOrganizationChange();
        break;
      default: // repeat and unknown need nothing
    }
    this.changed();
  }

  #onHello() {
    for (const name of ["hello", "quiet"]) this.#cancel(name);
    this.#after("stable", STABLE_MS, () => {
      this.failures = 0;
    });
    this.#backlog = this.behind;
    this.status = this.#backlog > 0 ? "catching-up" : "live";
  }

  #checkCaughtUp() {
    if (this.status !== "catching-up" || this.behind > 0) return;
    this.status = "live";
    this.caughtUp = this.#backlog;
    this.#after("caught-up", CAUGHT_UP_MS, () => {
      this.caughtUp = 0;
      this.changed();
    });
  }

  #onClose(code, hadHello) {
    this.#detach();
    if (code === CLOSED.sessionEnded) {
      this.#end();
      return;
    }
    if (code === CLOSED.roleChanged) this.#listener.onRoleChange();
    const isOrderly = code === CLOSED.goingAway || code === CLOSED.roleChanged || code === CLOSED.tooSlow;
    const { random } = this.#env;
    const waitMs = isOrderly && this.failures === 0 ? resumeMs(random) : backoffMs(this.failures, random);
    this.failures += 1;
    this.#show(this.position.seq === null ? "connecting" : "reconnecting");
    this.#after("retry", waitMs, () => this.#connect());
    if (!hadHello) this.#checkSession();
  }

  // All dashboards of an organization receive the same last message; the random part spreads their checks.
  #scheduleCheck() {
    this.#after("check", this.#heartbeatMs * (1.5 + this.#env.random()), () => this.#checkConnection());
  }

  #checkConnection() {
    const socket = this.#socket;
    const isReplaced = () => socket !== this.#socket || socket === null;
    this.#after("check-timeout", CHECK_TIMEOUT_MS, () => this.renew());
    this.#listener.hasSession().then(
      (isValid) => {
        if (isReplaced()) return;
        this.#cancel("check-timeout");
        if (isValid) this.#scheduleCheck();
        else this.#end();
      },
      () => isReplaced() || this.renew(),
    );
  }

  #checkSession() {
    this.#listener.hasSession().then(
      (isValid) => {
        if (!isValid && this.#timers.has("retry")) this.#end();
      },
      () => {}, // the server is unreachable; the retry continues
    );
  }

  #end() {
    this.#detach();
    this.#show("ended");
    this.#listener.onSessionExpired();
  }

  #detach() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
    this.caughtUp = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #show(status) {
    this.status = status;
    this.changed();
  }

  #after(name, ms, run) {
    this.#cancel(name);
    const timer = this.#env.setTimeout(() => {
      this.#timers.delete(name);
      run();
    }, ms);
    this.#timers.set(name, timer);
  }

  #cancel(name) {
    this.#env.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // an unknown message; if it was an event, the next one reveals the gap
  }
}
