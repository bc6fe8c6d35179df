// The title of the window: the view, and how many calls arrived while the page was hidden.

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

  /** Shows the title of a view. @returns {() => void} restores the list's title */
  show(text) {
    this.#write({ text });
    return () => this.#write({ text: "Calls" });
  }

  /** Counts a call that has arrived, if the page is hidden. */
  count() {
    if (this.#document.hidden) this.#write({ unseen: this.#unseen + 1 });
  }

  #write({ text = this.#text, unseen = this.#unseen }) {
    [this.#text, this.#unseen] = [text, unseen];
    const badge = unseen === 0 ? "" : `(${unseen > 99 ? "99+" : unseen}) `;
    this.#document.title = `${badge}${text} · tether`;
  }
}
