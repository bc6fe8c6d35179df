// Whether a call matches a search, and by which sentences. Loaded when the first call arrives in a list that is searched.

import { hitsOf } from "./marks.js";
import { matchesSearch, parseQuery } from "./query.js";

/** @returns {object[] | null} the sentences that were searched for (`hitsOf`); null if the call does not match */
export function findIn(call, search) {
  const query = parseQuery(search);
  // As the server does: the words of a SIP address are searched, and a withheld number is found by that word.
  const addresses = [call.from ?? "withheld", call.to].filter(Boolean);
  const isNumber = (address) => address.startsWith("+");
  const isMatch = matchesSearch(
    {
      texts: [call.summary, ...(call.transcription ?? []).map(({ message }) => message)],
      names: [call.contactName, call.callerName, ...addresses.filter((address) => !isNumber(address))],
      numbers: addresses.filter(isNumber),
      agentName: call.agentName,
      ids: [call.callId, call.providerCallId, call.conversationId],
      metadata: call.providerMetadata?.metadata,
    },
    query,
  );
  return isMatch ? hitsOf(call, query) : null;
}
