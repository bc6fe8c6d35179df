// A vendor's payload, and the places in it that the trail of its reading names. Pure.

/** The content type that a vendor's webhooks have. */
export const contentType = (vendor) => (vendor === "twilio" ? "application/x-www-form-urlencoded" : "application/json");

// Names of secrets, as the server masks them in deliveries: vendors' payloads hold their customers' own.
const SECRET =
  /password|passwd|passphrase|passcode|pwd|secret|token|apikey|authorization|authentication|credential|signature|cookie|bearer|privatekey|accesskey|accountsid|sessionid|jwt|^(auth|xauth|basicauth|pass|pin|otp|sig|key|sid|cvv|cvc)$/;
const masked = (name, value) => (value !== null && SECRET.test(name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "")) ? "***" : value);

/**
 * A payload as a value that can be shown line by line, its secrets masked: Twilio's form as an object.
 *
 * @returns {unknown} undefined if it cannot be read
 */
export function parsePayload(text, vendor) {
  if (vendor === "twilio") return parseForm(text);
  try {
    return JSON.parse(text, masked);
  } catch {
    return undefined;
  }
}

function parseForm(text) {
  const form = new Map();
  for (const [name, value] of new URLSearchParams(text.trim())) {
    form.set(name, form.has(name) ? [form.get(name), masked(name, value)].flat() : masked(name, value));
  }
  return form.size === 0 ? undefined : Object.fromEntries(form);
}

/** A path in one form: `turns[0].text` and `turns.0.text` are the same place. */
const samePath = (path) => path.replaceAll(/\[(\d+)\]/g, ".$1");

/**
 * Finds the lines of the value that a path leads to, as [first, last]; those of what it is in, if it is not there; null if there
 * is none.
 *
 * @param {{depth: number, text: string, path: string | null}[]} lines see `jsonLines`
 * @returns {(path: string) => [number, number] | null}
 */
export function finder(lines) {
  const places = new Map();
  lines.forEach(({ path }, index) => path === null || places.has(samePath(path)) || places.set(samePath(path), index));
  return (path) => {
    for (let steps = samePath(path).split("."); steps.length > 0; steps = steps.slice(0, -1)) {
      const first = places.get(steps.join("."));
      if (first === undefined) continue;
      const { depth, text } = lines[first];
      if (!/[[{]$/.test(text)) return [first, first];
      let last = first + 1;
      while (last < lines.length - 1 && lines[last].depth > depth) last += 1;
      return [first, last];
    }
    return null;
  };
}
