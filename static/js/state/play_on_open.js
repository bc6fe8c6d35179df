// The moment that is to be played as soon as its call is open: somebody clicked a sentence. A link from elsewhere plays nothing.

let wanted = null;

export function playOnOpen(callId, atS) {
  wanted = atS === null ? null : { callId, atS };
}

/** Says whether a moment is wanted, once. */
export function takesPlay(callId, atS) {
  const isWanted = wanted?.callId === callId && atS !== null && Math.abs(wanted.atS - atS) < 0.1; // an address has tenths
  if (isWanted) wanted = null;
  return isWanted;
}
