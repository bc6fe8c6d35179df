// What the player remembers from call to call, in this browser.

const KEY = "tether.player";
const DEFAULT = { rate: 1, volume: 1 };

/** @returns {{rate: number, volume: number}} */
export function rememberedPlayer() {
  try {
    const { rate, volume } = JSON.parse(localStorage.getItem(KEY)) ?? DEFAULT;
    return { rate: within(rate, 0.5, 3), volume: within(volume, 0, 1) };
  } catch {
    return DEFAULT; // this browser keeps nothing, or something else is there
  }
}

export function rememberPlayer({ rate, volume }) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ rate, volume }));
  } catch {
    // This browser keeps nothing.
  }
}

const within = (value, least, most) => (value >= least && value <= most ? value : 1);
