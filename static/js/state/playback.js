// Plays one recording with an <audio> element whose URL expires: the original, or the copy that the server makes of it.

import { Observable } from "../observable.js";
import { rememberPlayer, rememberedPlayer } from "./player_memory.js";

const ASK_AGAIN_MS = 2_000; // while the copy is being made

const URL_MIN_LIFE_MS = 30_000; // a URL that fails sooner was not expired
const [HAVE_METADATA, HAVE_CURRENT_DATA] = [1, 2]; // of an element's readyState
const [NETWORK, DECODE, NOT_SUPPORTED] = [2, 3, 4]; // codes of a MediaError; browsers report a 403 as NOT_SUPPORTED

export class Playback extends Observable {
  /**
   * @type {"loading" | "preparing" | "ready" | "failed" | "unplayable"} `preparing`: the server makes a copy; `unplayable`: this
   *     browser cannot play it, however often it is loaded
   */
  phase = "loading";
  /** Why it failed or is unplayable, in the server's words; null where it said nothing. */
  message = null;
  /** Whether loading it again may help after it `failed`. */
  mayHelp = true;
  isPlaying = false;
  positionS = 0;
  durationS = Number.NaN;
  /** How often the position was set by something else than the transcript, which then has to follow. */
  jumps = 0;
  rate;
  volume;
  skipsSilence = false;
  /** @type {[number, number][]} [from, to] in seconds, ascending */
  silences = [];

  #fetchUrl;
  /** @type {("original" | "copy")[]} what to play: the next one where the browser cannot play one */
  #sources = ["original"];
  /** The index of the source that is played. */
  #at = 0;
  #audio = null;
  #signal = null;
  #fetchedAtMs = -Infinity;
  #isRetried = false;
  #isRetriedByUser = false;
  /** A position that was set before the element knew its recording, which it may forget; null once it has it. */
  #wantedS = null;

  /**
   * @param {(source: "original" | "copy", signal: AbortSignal) => Promise<string>} fetchUrl returns a URL that is valid for
   *     some minutes
   */
  constructor(fetchUrl) {
    super();
    this.#fetchUrl = fetchUrl;
    Object.assign(this, rememberedPlayer());
  }

  /** Starts to control an <audio> element. @returns {() => void} releases it */
  attach(audio) {
    const attached = new AbortController();
    const on = (name, run) => audio.addEventListener(name, run, { signal: attached.signal });
    this.#audio = audio;
    audio.volume = this.volume;
    this.#signal = attached.signal;
    const read = () => {
      if (!audio.hasAttribute("src")) return;
      // The browser pauses a source that fails. `isPlaying` stays, so that the next URL continues playing.
      if (audio.error === null) this.isPlaying = !audio.paused && !audio.ended;
      const hasIt = !audio.seeking && Math.abs(audio.currentTime - this.#wantedS) < 0.5;
      if (this.isPlaying || (audio.readyState >= HAVE_CURRENT_DATA && hasIt)) this.#wantedS = null;
      this.positionS = this.#wantedS ?? audio.currentTime;
      if (Number.isFinite(audio.duration)) this.durationS = audio.duration;
      this.#skipSilence();
      this.changed();
    };
    for (const name of ["play", "pause", "ended", "timeupdate", "seeked", "durationchange"]) on(name, read);
    on("loadedmetadata", () => this.#show("ready"));
    for (const name of ["loadedmetadata", "loadeddata", "canplay"]) on(name, () => this.#seekAgain());
    on("error", () => this.#onError());
    this.#load();
    return () => {
      attached.abort();
      audio.pause();
      audio.removeAttribute("src");
      audio.load(); // closes the connection
      this.#audio = null;
    };
  }

  /** Once it is known what the recording is; before that, the original is loaded. */
  setSources(sources) {
    const isOther = sources[0] !== this.#sources[0];
    this.#sources = sources;
    if (!this.#audio) return;
    if (isOther) {
      this.#loadSource(0);
    } else if (this.phase === "failed" || this.phase === "unplayable") {
      this.#tryNext(this.phase);
    }
  }

  toggle() {
    if (!this.#hasSource) this.#show(this.phase, { isPlaying: !this.isPlaying });
    else if (this.#audio.paused) this.#play();
    else this.#audio.pause();
  }

  /** Plays from a position of the transcript. */
  playFrom(seconds) {
    this.seek(seconds, { isJump: false });
    if (this.#hasSource) this.#play();
    else this.#show(this.phase, { isPlaying: true });
  }

  seek(seconds, { isJump = true } = {}) {
    if (isJump) this.jumps += 1;
    const positionS = Math.max(0, seconds);
    if (this.#hasSource) this.#setPosition(positionS);
    this.#show(this.phase, { positionS });
  }

  /** Moves forward, or back with negative seconds. */
  skip(seconds) {
    const targetS = (this.#hasSource ? this.#audio.currentTime : this.positionS) + seconds;
    this.seek(Number.isFinite(this.durationS) ? Math.min(targetS, this.durationS) : targetS);
  }

  /** The exact position: `positionS` is updated only four times a second. */
  get exactPositionS() {
    return this.#hasSource && this.isPlaying ? this.#audio.currentTime : this.positionS;
  }

  setSkipsSilence(skipsSilence) {
    this.skipsSilence = skipsSilence;
    this.changed();
  }

  setRate(rate) {
    this.rate = rate;
    if (this.#audio) this.#audio.playbackRate = rate;
    this.#remember();
  }

  /** @param {number} volume from 0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    if (this.#audio) this.#audio.volume = volume;
    this.#remember();
  }

  /** Loads the recording again after a failure. */
  retry() {
    this.#isRetriedByUser = true;
    this.message = null;
    this.#loadSource(0);
  }

  // Without a source the element ignores commands: `positionS` and `isPlaying` then hold what it must do once it has one.
  get #hasSource() {
    return this.#audio?.hasAttribute("src") && this.#audio.error === null;
  }

  #setPosition(seconds) {
    this.#wantedS = this.#audio.readyState < HAVE_METADATA ? seconds : null;
    this.#audio.currentTime = seconds;
  }

  // A browser that cannot seek yet when it has the metadata starts at 0.
  #seekAgain() {
    const audio = this.#audio;
    if (this.#wantedS === null || audio.seeking || Math.abs(audio.currentTime - this.#wantedS) < 0.5) return;
    audio.currentTime = this.#wantedS;
  }

  #skipSilence() {
    if (!this.skipsSilence || !this.isPlaying) return;
    const silence = this.silences.find(([fromS, toS]) => this.positionS >= fromS && this.positionS < toS - 0.1);
    if (silence) this.#audio.currentTime = silence[1];
  }

  #remember() {
    rememberPlayer({ rate: this.rate, volume: this.volume });
    this.changed();
  }

  #play() {
    // If the browser refuses to play, the element stays paused; a broken source fires its "error" event.
    this.#audio.play().catch(() => {});
  }

  async #load() {
    const signal = this.#signal;
    const source = this.#sources[this.#at];
    this.#show(source === "copy" ? "preparing" : "loading");
    let url;
    try {
      url = await this.#fetchUrl(source, signal);
    } catch (error) {
      if (!signal.aborted && source === this.#sources[this.#at]) this.#onNoUrl(error, source);
      return;
    }
    if (signal.aborted || source !== this.#sources[this.#at]) return;
    const { positionS, isPlaying } = this;
    this.#fetchedAtMs = Date.now();
    this.#audio.defaultPlaybackRate = this.rate; // a new source starts at this rate
    this.#audio.src = url;
    if (positionS > 0) this.#setPosition(positionS);
    if (isPlaying) this.#play();
  }

  #onNoUrl({ code, status, message }, source) {
    if (code === "copy_not_ready") {
      const timer = setTimeout(() => this.#load(), ASK_AGAIN_MS);
      this.#signal.addEventListener("abort", () => clearTimeout(timer));
    } else if (source === "copy" && status === 404) {
      this.message = message; // there is none
      this.#tryNext("unplayable");
    } else {
      this.#show("failed", { isPlaying: false, message, mayHelp: status !== 404 && status !== 403 });
    }
  }

  // Most likely the URL has expired: fetch another one and continue at the same position. Only once: if a new URL fails as
  // well, the recording is not available; and if it fails after the user's retry, too, this browser cannot play it.
  #onError() {
    if (this.#audio.error === null) return; // of a source before this one
    const { code } = this.#audio.error;
    const mayRetry = !this.#isRetried || Date.now() - this.#fetchedAtMs > URL_MIN_LIFE_MS;
    if (mayRetry && [NETWORK, NOT_SUPPORTED].includes(code)) {
      this.#isRetried = true;
      this.#load();
    } else if (code === NETWORK) {
      this.#show("failed", { isPlaying: false });
    } else {
      const isUnplayable = code === DECODE || this.message !== null || this.#isRetriedByUser;
      this.#tryNext(isUnplayable ? "unplayable" : "failed");
    }
  }

  #tryNext(phase) {
    if (this.#at + 1 < this.#sources.length) this.#loadSource(this.#at + 1);
    else this.#show(phase, { isPlaying: false });
  }

  #loadSource(at) {
    this.#at = at;
    this.#isRetried = false;
    if (this.#hasSource) this.isPlaying = !this.#audio.paused; // the event that says so may still be on its way
    this.#audio.removeAttribute("src");
    this.#audio.load(); // ends what the element does with another source
    this.#load();
  }

  #show(phase, change = {}) {
    Object.assign(this, change, { phase });
    this.changed();
  }
}
