// Formats counts, shares and sizes. Pure.

const UNKNOWN = "–";

const counts = new Intl.NumberFormat("en");

/** 100000 → "100,000". */
export const count = (value) => counts.format(value);

/** "1 call", "1,042 calls"; "1 match", "2 matches" with the plural given. */
export const plural = (value, noun, nouns = `${noun}s`) => `${count(value)} ${value === 1 ? noun : nouns}`;

/** 0.594 → "59%". */
export const percent = (share) => `${Math.round(share * 100)}%`;

const SIZE_UNITS = ["bytes", "KB", "MB", "GB"];

/** Bytes → "512 bytes", "1.4 MB". */
export function size(bytes) {
  if (!Number.isFinite(bytes) || bytes < 0) return UNKNOWN;
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < SIZE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZE_UNITS[unit]}`;
}
