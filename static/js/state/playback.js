// One recording being played: an <audio> element with an address that expires, as state that can be watched.

import { Observable } from "../observable.js";

const AGAIN_AFTER_MS = 30_000;
const NETWORK_ERRORS = [2, 4]; // MEDIA_ERR_NETWORK, and MEDIA_ERR_SRC_NOT_SUPPORTED, which a 403 is reported as

export class Playback extends Observable {
  /** @type {"loading" | "ready" | "failed"} */
  phase = "loading";
  isPlaying = false;
  atS = 0;
  lengthS = Number.NaN;
  rate = 1;
  skipsSilence = false;
  /** @type {[number, number][]} from and to, in seconds, ascending */
  silences = [];

  #fetchUrl;
  #audio = null;
  #signal = null;
  #fetchedAtMs = -Infinity;
  #isSecondAddress = false;

  /** @param {(signal: AbortSignal) => Promise<string>} fetchUrl gets an address for the recording, good for some minutes */
  constructor(fetchUrl) {
    super();
    this.#fetchUrl = fetchUrl;
  }

  /** Takes the element over. @returns {() => void} lets it go. */
  attach(audio) {
    const attached = new AbortController();
    const on = (name, run) => audio.addEventListener(name, run, { signal: attached.signal });
    this.#audio = audio;
    this.#signal = attached.signal;
    const read = () => {
      // A source that fails is paused by the browser; what the reader wanted is still to be done with the next address.
      if (audio.error === null) this.isPlaying = !audio.paused && !audio.ended;
      this.atS = audio.currentTime;
      if (Number.isFinite(audio.duration)) this.lengthS = audio.duration;
      this.#leapSilence();
      this.changed();
    };
    for (const name of ["play", "pause", "ended", "timeupdate", "seeked", "durationchange"]) on(name, read);
    on("loadedmetadata", () => this.#show("ready"));
    on("error", () => this.#mend());
    this.#load();
    return () => {
      attached.abort();
      audio.pause();
      audio.removeAttribute("src");
      audio.load(); // lets go of the connection
      this.#audio = null;
    };
  }

  toggle() {
    if (!this.#hasSource) this.#show(this.phase, { isPlaying: !this.isPlaying });
    else if (this.#audio.paused) this.#play();
    else this.#audio.pause();
  }

  /** Goes to a moment and plays from there. */
  playFrom(seconds) {
    this.seek(seconds);
    if (this.#hasSource) this.#play();
    else this.#show(this.phase, { isPlaying: true });
  }

  seek(seconds) {
    const atS = Math.max(0, seconds);
    if (this.#hasSource) this.#audio.currentTime = atS;
    this.#show(this.phase, { atS });
  }

  /** Goes some seconds on, or back. */
  skip(seconds) {
    const atS = this.#hasSource ? this.#audio.currentTime : this.atS;
    this.seek(Number.isFinite(this.lengthS) ? Math.min(atS + seconds, this.lengthS) : atS + seconds);
  }

  /** Where the audio is now: finer than `atS`, which is told four times a second. */
  get nowS() {
    return this.#hasSource && this.isPlaying ? this.#audio.currentTime : this.atS;
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

  /** Starts over after a failure. */
  retry() {
    this.#isSecondAddress = false;
    this.#load();
  }

  // Without a source an element forgets what it is told: `atS` and `isPlaying` then hold what is wanted of it.
  get #hasSource() {
    return this.#audio?.hasAttribute("src") && this.#audio.error === null;
  }

  #leapSilence() {
    if (!this.skipsSilence || !this.isPlaying) return;
    const silence = this.silences.find(([fromS, toS]) => this.atS >= fromS && this.atS < toS - 0.1);
    if (silence) this.#audio.currentTime = silence[1];
  }

  #play() {
    // Refused or interrupted playing shows as "paused"; a broken source comes as the element's "error".
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
    const { atS, isPlaying } = this;
    this.#fetchedAtMs = Date.now();
    this.#audio.src = url;
    this.#audio.defaultPlaybackRate = this.rate; // a new source falls back to this
    if (atS > 0) this.#audio.currentTime = atS; // before the metadata is here, this sets where playing begins
    if (isPlaying) this.#play();
  }

  // The address has most likely expired: get another one and go on at the same moment. Once: a fresh address that
  // fails, too, means that the recording itself cannot be had.
  #mend() {
    const isNews = !this.#isSecondAddress || Date.now() - this.#fetchedAtMs > AGAIN_AFTER_MS;
    if (isNews && NETWORK_ERRORS.includes(this.#audio.error?.code)) {
      this.#isSecondAddress = true;
      this.#load();
    } else {
      this.#show("failed", { isPlaying: false });
    }
  }

  #show(phase, change = {}) {
    Object.assign(this, change, { phase });
    this.changed();
  }
}
