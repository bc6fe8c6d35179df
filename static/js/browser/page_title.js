// The title of the window: what is shown, and how many calls came in while nobody could see them.

export class PageTitle {
  #document;
  #text = "Calls";
  #unseen = 0;

  constructor(document = globalThis.document) {
    this.#document = document;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#write({ unseen: 0 });
    });
  }

  /** @returns {() => void} goes back to the list's title. */
  show(text) {
    this.#write({ text });
    return () => this.#write({ text: "Calls" });
  }

  /** A call came in. */
  count() {
    if (this.#document.hidden) this.#write({ unseen: this.#unseen + 1 });
  }

  #write({ text = this.#text, unseen = this.#unseen }) {
    [this.#text, this.#unseen] = [text, unseen];
    const badge = unseen === 0 ? "" : `(${unseen > 99 ? "99+" : unseen}) `;
    this.#document.title = `${badge}${text} · tether`;
  }
}
