// The theme that the user has chosen for this browser. A page loads this module before it is first painted, and marks what
// belongs to one theme alone with `data-scheme`: style sheets and the colour of the browser's bar.

import { Observable } from "../observable.js";

const KEY = "tether.theme";
const DARK = "(prefers-color-scheme: dark)";
export const THEMES = ["system", "light", "dark"];

class Theme extends Observable {
  /** @type {"system" | "light" | "dark"} */
  chosen = remembered();

  constructor() {
    super();
    this.#apply();
    matchMedia(DARK).addEventListener("change", () => this.changed());
    addEventListener("storage", ({ key }) => key === KEY && this.#set(remembered())); // chosen in another window
  }

  get isDark() {
    return this.chosen === "dark" || (this.chosen === "system" && matchMedia(DARK).matches);
  }

  choose(theme) {
    localStorage.setItem(KEY, theme);
    this.#set(theme);
  }

  #set(theme) {
    this.chosen = theme;
    this.#apply();
    this.changed();
  }

  #apply() {
    document.documentElement.dataset.theme = this.chosen;
    for (const element of document.querySelectorAll("[data-scheme]")) {
      const { scheme } = element.dataset;
      if (this.chosen === "system") element.media = `screen and (prefers-color-scheme: ${scheme})`;
      else element.media = this.chosen === scheme ? "screen" : "not all";
    }
  }
}

function remembered() {
  try {
    const theme = localStorage.getItem(KEY);
    return THEMES.includes(theme) ? theme : "system";
  } catch {
    return "system"; // this browser keeps nothing
  }
}

export const theme = new Theme();
