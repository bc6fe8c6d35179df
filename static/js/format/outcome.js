// What a vendor says came of a call, as facts that can be shown. Pure.

const LABELS = {
  success: "Successful",
  sentiment: "Sentiment",
  score: "Score",
  cost: "Cost, in the vendor's unit",
  endedReason: "Ended because of",
  voicemail: "Voicemail",
};

/**
 * @param {object | null | undefined} outcome of a call
 * @returns {[string, string][]} names and values; empty if the vendor said nothing
 */
export function outcomeFacts(outcome) {
  return Object.entries(LABELS).flatMap(([name, label]) => {
    const value = outcome?.[name];
    if (value === undefined || value === null || value === "") return [];
    if (name === "voicemail") return value === true ? [[label, "A machine answered"]] : [];
    return [[label, textOf(value)]];
  });
}

function textOf(value) {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
