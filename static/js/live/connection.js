// The WebSocket to the hub: it stays connected, resumes where it stopped, and hands on each event exactly once.
//
// `position.js` judges every message; this file only moves bytes and keeps the time. A page cannot see WebSocket pings,
// so a path that died without a word is found in other ways: when there was no message for some two heartbeats, the
// session is asked for by HTTP, which costs the server less than a connection; and `renew()` makes a fresh connection, on
// waking, on a change of network (`wake.js`), when that question has no answer, and after SILENCE_MS without a message.

import { Observable } from "../observable.js";
import { backoffMs, resumeMs } from "./backoff.js";
import { advance, behind, resumeToken, START } from "./position.js";

const SUBPROTOCOL = "tether.v1";
const CLOSED = { goingAway: 1001, sessionOver: 4401, tooSlow: 4408 };

const HELLO_MS = 10_000; // from the first packet to the hello; past it the attempt has failed
const STABLE_MS = 10_000; // a connection that lives this long was a success
const QUIET_MS = 2_000; // a renewal that takes longer is shown as reconnecting
const SILENCE_MS = 300_000; // no message for this long: the path is there, but is the connection?
const HEARTBEAT_MS = 20_000; // until a hello says otherwise
const ANSWER_MS = 4_000; // a path on which a question takes longer is taken for dead
const CAUGHT_UP_MS = 8_000; // how long "Caught up on 12" is news
const FRESH_MS = 5_000; // a message this recent proves the path: no need to renew

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
 *   connecting    no hello yet, ever
 *   live          everything that is committed is here
 *   catching-up   connected again, `behind` events still to come
 *   reconnecting  no connection; `failures` attempts in a row have failed
 *   ended         the session is over; nothing more will come
 */
export class LiveConnection extends Observable {
  status = "idle";
  position = START;
  failures = 0;
  /** How many events the last reconnection brought; 0 once that is old news. */
  caughtUp = 0;
  /** How many events could no longer be had one by one, so that the state was loaded again instead. */
  missed = 0;

  #url;
  #listener;
  #env;
  #socket = null;
  #timers = new Map();
  #missed = 0;
  #heardAtMs = -Infinity;
  #heartbeatMs = HEARTBEAT_MS;

  /**
   * @param {string} url of the hub, ws: or wss:
   * @param {object} listener
   *   onBegin()            the first hello: load the state; events follow
   *   onEvent(event)       the next event, in order, once
   *   onResync()           some events can no longer be had: load the state again
   *   onStranger()         the session is of another organization now
   *   onSessionOver()      sign in again
   *   hasSession()         → Promise<boolean>; asked when a handshake fails, because a browser does not say why, and
   *                        when there was no message for a while
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

  /** Closes for good and forgets the position. May be called twice. */
  stop() {
    this.#detach();
    this.position = START;
    this.failures = 0;
    this.missed = 0;
    this.#show("idle");
  }

  /** Makes sure of the connection: at once if it is being waited for, by a fresh one if it may be dead. */
  renew() {
    if (this.status === "idle" || this.status === "ended") return;
    if (this.#socket && this.#env.now() - this.#heardAtMs < FRESH_MS) return;
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
      this.#heardAtMs = this.#env.now();
      this.#after("silence", SILENCE_MS, () => this.renew());
      hadHello = true;
      this.#receive(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code, hadHello);
    };
    this.#after("hello", HELLO_MS, () => this.#lost(0, false));
  }

  #receive(text) {
    const message = parse(text);
    if (message?.event === "hello" && message.heartbeat > 0) this.#heartbeatMs = message.heartbeat * 1000;
    this.#doubtLater();
    const { step, position } = advance(this.position, message);
    const skipped = position.seq - this.position.seq;
    this.position = position;
    switch (step) {
      case "begin":
        this.#established();
        this.#listener.onBegin();
        break;
      case "resume":
        this.#established();
        break;
      case "resync":
        this.missed += Math.max(0, skipped);
        this.#established();
        this.#listener.onResync();
        break;
      case "apply":
        this.failures = 0;
        this.#listener.onEvent(message);
        this.#checkCaughtUp();
        break;
      case "gap":
        this.#lost(0, true);
        break;
      case "other-organization":
        this.stop();
        this.#listener.onStranger();
        break;
      default: // repeat, unknown
    }
    this.changed();
  }

  #established() {
    for (const name of ["hello", "quiet"]) this.#cancel(name);
    this.#after("stable", STABLE_MS, () => {
      this.failures = 0;
    });
    this.#missed = this.behind;
    this.status = this.#missed > 0 ? "catching-up" : "live";
  }

  #checkCaughtUp() {
    if (this.status !== "catching-up" || this.behind > 0) return;
    this.status = "live";
    this.caughtUp = this.#missed;
    this.#after("caught-up", CAUGHT_UP_MS, () => {
      this.caughtUp = 0;
      this.changed();
    });
  }

  #lost(code, hadHello) {
    this.#detach();
    if (code === CLOSED.sessionOver) {
      this.#end();
      return;
    }
    const wasOrderly = code === CLOSED.goingAway || code === CLOSED.tooSlow;
    const { random } = this.#env;
    const waitMs = wasOrderly && this.failures === 0 ? resumeMs(random) : backoffMs(this.failures, random);
    this.failures += 1;
    this.#show(this.position.seq === null ? "connecting" : "reconnecting");
    this.#after("retry", waitMs, () => this.#connect());
    if (!hadHello) this.#askForSession();
  }

  // All dashboards of an organization hear the same last message: they must not all ask at the same moment.
  #doubtLater() {
    this.#after("doubt", this.#heartbeatMs * (1.5 + this.#env.random()), () => this.#doubt());
  }

  #doubt() {
    const socket = this.#socket;
    const isMoot = () => socket !== this.#socket || socket === null;
    this.#after("answer", ANSWER_MS, () => this.renew());
    this.#listener.hasSession().then(
      (holds) => {
        if (isMoot()) return;
        this.#cancel("answer");
        if (holds) this.#doubtLater();
        else this.#end();
      },
      () => isMoot() || this.renew(),
    );
  }

  #askForSession() {
    this.#listener.hasSession().then(
      (holds) => {
        if (!holds && this.#timers.has("retry")) this.#end();
      },
      () => {}, // the server is away, so it cannot say: the retry will find out
    );
  }

  #end() {
    this.#detach();
    this.#show("ended");
    this.#listener.onSessionOver();
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
    return null; // judged "unknown"; if it was an event, the next number shows the gap
  }
}
