// Who is signed in. The session token is a cookie that scripts cannot read; the page only learns whether it is valid.

import { ApiError } from "../api.js";
import { Observable } from "../observable.js";

const USER_KEY = "tether.user"; // name, email address and permissions, so that the next visit can show them at once
const EMAIL_KEY = "tether.email"; // of a user whose session has ended, for the sign-in form
const RETRY_MS = 3_000;

/** Says whether a user may do something, by the server's name of the permission. */
export const may = (user, permission) => user?.allowed?.includes(permission) === true;

/** The user who signed in here last, as {email, fullName, allowed}; null for nobody. */
export function rememberedUser(storage = globalThis.localStorage) {
  try {
    return JSON.parse(storage.getItem(USER_KEY));
  } catch {
    return null;
  }
}

export class Session extends Observable {
  /** @type {"checking" | "unreachable" | "signed-out" | "signed-in"} */
  phase = "checking";
  user = null;
  /** Why the sign-in form is shown, if the user did not sign out. */
  message = null;
  /** The email address of the user whose session ended here; not of one who signed out. */
  lastEmail;

  #api;
  #storage;
  #isSigningOut = false;

  constructor(api, { storage = globalThis.localStorage } = {}) {
    super();
    this.#api = api;
    this.#storage = storage;
    this.lastEmail = storage.getItem(EMAIL_KEY);
  }

  /**
   * Asks the server whether the cookie is valid; asks again while the server is unreachable. A user who signed in here
   * before is let in at once: the first response corrects that if the session has expired.
   */
  async check() {
    const before = rememberedUser(this.#storage);
    if (before) this.#enter(before);
    try {
      const answer = await this.#api.whoAmI();
      if (answer) this.#enter(answer.user ?? before);
      else if (this.phase === "signed-in") this.expire();
      else this.#leave(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.phase === "signed-in") return; // the WebSocket reconnects and asks then
      this.#show({ phase: "unreachable" });
      setTimeout(() => this.check(), RETRY_MS);
    }
  }

  /** @throws {ApiError} whose message is shown under the form */
  async signIn(email, password) {
    const user = await this.#api.signIn(email, password);
    this.#rememberEmail(null);
    this.#storage.setItem(USER_KEY, JSON.stringify({ email: user?.email, fullName: user?.fullName, allowed: user?.allowed }));
    this.#enter(user);
  }

  /** @throws {ApiError} if the server did not confirm: the session is still valid then */
  async signOut() {
    this.#isSigningOut = true;
    try {
      await this.#api.signOut();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isUnauthorized) throw error;
    } finally {
      this.#isSigningOut = false;
    }
    this.#storage.removeItem(USER_KEY);
    this.#leave(null);
  }

  /** The server has rejected the session: it expired, was revoked, or was ended in another window. */
  expire() {
    if (this.#isSigningOut) return; // the WebSocket may be told before the request to sign out is answered
    this.#storage.removeItem(USER_KEY);
    if (this.user?.email) this.#rememberEmail(this.user.email);
    if (this.phase === "signed-in") this.#leave("Your session has ended. Sign in again to pick up where you left off.");
  }

  #rememberEmail(email) {
    this.lastEmail = email;
    if (email) this.#storage.setItem(EMAIL_KEY, email);
    else this.#storage.removeItem(EMAIL_KEY);
  }

  #enter(user) {
    this.#show({ phase: "signed-in", user, message: null });
  }

  #leave(message) {
    this.#show({ phase: "signed-out", user: null, message });
  }

  #show(change) {
    Object.assign(this, change);
    this.changed();
  }
}
