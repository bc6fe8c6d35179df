// Plays one recording with an <audio> element whose URL expires.

import { Observable } from "../observable.js";

const URL_MIN_LIFE_MS = 30_000; // a URL that fails sooner was not expired
const [HAVE_METADATA, HAVE_CURRENT_DATA] = [1, 2]; // of an element's readyState
const [NETWORK, DECODE, NOT_SUPPORTED] = [2, 3, 4]; // codes of a MediaError; browsers report a 403 as NOT_SUPPORTED

export class Playback extends Observable {
  /** @type {"loading" | "ready" | "failed" | "unplayable"} `unplayable`: this browser cannot play it, however often it is loaded */
  phase = "loading";
  isPlaying = false;
  positionS = 0;
  durationS = Number.NaN;
  /** How often the position was set by something else than the transcript, which then has to follow. */
  jumps = 0;
  rate = 1;
  skipsSilence = false;
  /** @type {[number, number][]} [from, to] in seconds, ascending */
  silences = [];

  #fetchUrl;
  #audio = null;
  #signal = null;
  #fetchedAtMs = -Infinity;
  #isRetried = false;
  #isRetriedByUser = false;
  /** A position that was set before the element knew its recording, which it may forget; null once it has it. */
  #wantedS = null;

  /** @param {(signal: AbortSignal) => Promise<string>} fetchUrl returns a URL of the recording that is valid for some minutes */
  constructor(fetchUrl) {
    super();
    this.#fetchUrl = fetchUrl;
  }

  /** Starts to control an <audio> element. @returns {() => void} releases it */
  attach(audio) {
    const attached = new AbortController();
    const on = (name, run) => audio.addEventListener(name, run, { signal: attached.signal });
    this.#audio = audio;
    this.#signal = attached.signal;
    const read = () => {
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
    this.changed();
  }

  /** Loads the recording again after a failure. */
  retry() {
    this.#isRetried = false;
    this.#isRetriedByUser = true;
    this.#load();
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

  #play() {
    // If the browser refuses to play, the element stays paused; a broken source fires its "error" event.
    this.#audio.play().catch(() => {});
  }

  async #load() {
    const signal = this.#signal;
    this.#show("loading");
    let url;
    try {
      url = await this.#fetchUrl(signal);
    } catch {
      if (!signal.aborted) this.#show("failed", { isPlaying: false });
      return;
    }
    if (signal.aborted) return;
    const { positionS, isPlaying } = this;
    this.#fetchedAtMs = Date.now();
    this.#audio.src = url;
    this.#audio.defaultPlaybackRate = this.rate; // a new source starts at this rate
    if (positionS > 0) this.#setPosition(positionS);
    if (isPlaying) this.#play();
  }

  // Most likely the URL has expired: fetch another one and continue at the same position. Only once: if a new URL fails as
  // well, the recording is not available; and if it fails after the user's retry, too, this browser cannot play it.
  #onError() {
    const code = this.#audio.error?.code;
    const mayRetry = !this.#isRetried || Date.now() - this.#fetchedAtMs > URL_MIN_LIFE_MS;
    if (mayRetry && [NETWORK, NOT_SUPPORTED].includes(code)) {
      this.#isRetried = true;
      this.#load();
    } else {
      const isUnplayable = code === DECODE || (code === NOT_SUPPORTED && this.#isRetriedByUser);
      this.#show(isUnplayable ? "unplayable" : "failed", { isPlaying: false });
    }
  }

  #show(phase, change = {}) {
    Object.assign(this, change, { phase });
    this.changed();
  }
}
