// The locale of the page. Its words are English, so its dates are, too: in the order and with the clock of the user's region.
// Pure.

// Any date serves to ask a locale in which order it writes day and month.
const SAMPLE = Date.UTC(2026, 10, 30);

/**
 * Names the locale in which to write for a user: "de-DE" → "en-GB-u-hc-h23", "ar-EG" → "en-GB-u-hc-h12",
 * "en-CA" → "en-CA-u-hc-h12".
 *
 * @param {string} [language] the browser's
 */
export function pageLocale(language = "en-US") {
  let own;
  try {
    own = new Intl.Locale(language);
  } catch {
    return pageLocale(); // not a language: "en-US@posix"
  }
  const { hourCycle } = new Intl.DateTimeFormat(language, { hour: "numeric" }).resolvedOptions();
  const clock = hourCycle.startsWith("h1") ? "h12" : "h23";
  if (own.language === "en") return `en-${own.maximize().region}-u-hc-${clock}`;
  const parts = new Intl.DateTimeFormat(language, { calendar: "gregory", day: "numeric", month: "numeric" }).formatToParts(SAMPLE);
  const [first] = parts.filter(({ type }) => type === "day" || type === "month");
  return `en-${first.type === "day" ? "GB" : "US"}-u-hc-${clock}`;
}

export const LOCALE = pageLocale(globalThis.navigator?.language);
