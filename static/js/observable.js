// State that changes in place and tells its watchers, at most once a frame however much has happened.

const nextFrame = (run) => (globalThis.requestAnimationFrame ?? globalThis.setTimeout)(run);

export class Observable {
  // Grows with every change, so that a watcher can tell whether it has missed one before it subscribed.
  version = 0;
  #watchers = new Set();
  #isScheduled = false;
  #schedule;

  /** @param {(run: () => void) => void} schedule when to tell the watchers; the next frame by default. */
  constructor(schedule = nextFrame) {
    this.#schedule = schedule;
  }

  /** @returns {() => void} ends the subscription. */
  subscribe(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  changed() {
    this.version += 1;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#schedule(() => {
      this.#isScheduled = false;
      for (const watcher of [...this.#watchers]) watcher();
    });
  }
}
