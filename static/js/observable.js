// State that changes in place and notifies its subscribers at most once a frame.

const nextFrame = (run) => (globalThis.requestAnimationFrame ?? globalThis.setTimeout)(run);

export class Observable {
  // Grows with every change, so that a subscriber can detect a change that happened before it subscribed.
  version = 0;
  #subscribers = new Set();
  #isScheduled = false;
  #schedule;

  /** @param {(run: () => void) => void} schedule when to notify the subscribers; the next frame by default */
  constructor(schedule = nextFrame) {
    this.#schedule = schedule;
  }

  /** @returns {() => void} ends the subscription */
  subscribe(subscriber) {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  changed() {
    this.version += 1;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#schedule(() => {
      this.#isScheduled = false;
      for (const subscriber of [...this.#subscribers]) subscriber();
    });
  }
}
