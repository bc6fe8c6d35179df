// Who is signed in. The token is a cookie that no script can read; this page only learns whether it holds.

import { ApiError } from "../api.js";
import { Observable } from "../observable.js";

const USER_KEY = "tether.user"; // name and address alone, to greet after a reload
const RETRY_MS = 3_000;

/** Who was signed in here before, as far as this browser knows; null for nobody. */
export function remembered(storage = globalThis.localStorage) {
  try {
    return JSON.parse(storage.getItem(USER_KEY));
  } catch {
    return null;
  }
}

export class Session extends Observable {
  /** @type {"checking" | "unreachable" | "out" | "in"} */
  phase = "checking";
  user = null;
  /** Why the sign-in form is shown, when the reader did not ask for it. */
  notice = null;

  #api;
  #storage;

  constructor(api, { storage = globalThis.localStorage } = {}) {
    super();
    this.#api = api;
    this.#storage = storage;
  }

  /**
   * Finds out whether the cookie still holds; asks again while the server is away. Who was signed in here before is let in
   * at once: the first answer of the server says if that was wrong.
   */
  async check() {
    const before = remembered(this.#storage);
    if (before) this.#enter(before);
    try {
      const holder = await this.#api.whoAmI();
      if (holder) this.#enter(holder.user ?? before);
      else if (this.phase === "in") this.over();
      else this.#leave(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.phase === "in") return; // the connection finds the server again, and asks it
      this.#show({ phase: "unreachable" });
      setTimeout(() => this.check(), RETRY_MS);
    }
  }

  /** @throws {ApiError} with the sentence to show under the form. */
  async signIn(email, password) {
    const user = await this.#api.signIn(email, password);
    this.#storage.setItem(USER_KEY, JSON.stringify({ email: user?.email, fullName: user?.fullName }));
    this.#enter(user);
  }

  /** @throws {ApiError} when the server could not be told: then the session still holds. */
  async signOut() {
    try {
      await this.#api.signOut();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isSessionOver) throw error;
    }
    this.#storage.removeItem(USER_KEY);
    this.#leave(null);
  }

  /** The server said so: expired, revoked, or signed out elsewhere. */
  over() {
    this.#storage.removeItem(USER_KEY);
    if (this.phase === "in") this.#leave("Your session has ended. Sign in to go on where you were.");
  }

  #enter(user) {
    this.#show({ phase: "in", user, notice: null });
  }

  #leave(notice) {
    this.#show({ phase: "out", user: null, notice });
  }

  #show(change) {
    Object.assign(this, change);
    this.changed();
  }
}
