// What became of a delivery, in sentences. Pure.

const WOULD = {
  created: "This would become a new call.",
  merged: "This would complete a call that is here.",
  duplicate: "All of this is here already.",
  waiting: "This would wait for another part of its call.",
  ignored: "This would be ignored.",
  dead: "This cannot become a call.",
  refused: "This would be refused.",
};

const WHY = {
  signature: "The signature was wrong or missing. Is this source's secret the vendor's current one?",
  stale: "It was signed too long ago, or by a clock that is wrong.",
  too_large: "It was larger than the server takes.",
  disabled: "The source was disabled.",
  call_pending: "It waits for the call that it belongs to, for a day at most.",
  analysis_pending: "The call waits for its analysis, for two minutes at most.",
  parts_pending: "The call waits for its other parts, for two minutes at most.",
  direction_pending: "The call waits to learn its direction, for two minutes at most.",
  not_final: "It is about a call that goes on, not about its end.",
  not_a_phone_call: "The conversation was not a phone call.",
  not_a_call_event: "It is not about a completed call.",
  unknown_event: "The event is not known here.",
  child_leg: "It is about a part of another call.",
  no_recording: "There is no recording.",
  other_agent: "It is about another agent than those of this source.",
  erased: "The call was erased.",
  unparsable: "It could not be read.",
  shape: "It does not have the form that this vendor's events have.",
  expired: "The call that it belongs to did not come within a day.",
};

/** What a dry run found, as one sentence. */
export const wouldBe = (verdict) => WOULD[verdict] ?? `The verdict is ${verdict}.`;

/** Why something became of a delivery: the server's sentence, else ours for the code; "" if there is none. */
export const reasonOf = ({ code, error }) => error || WHY[code] || code || "";
