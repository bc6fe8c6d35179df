// Reading a transcript against the clock of its recording. Pure.

export const isTimed = (turn) => Number.isFinite(turn?.timestamp);

/** The index of the turn that is being spoken at `seconds`; -1 before the first, or when no turn has a time. */
export function turnAt(turns, seconds) {
  let [found, foundS] = [-1, -Infinity];
  turns.forEach((turn, index) => {
    if (isTimed(turn) && turn.timestamp <= seconds && turn.timestamp >= foundS) [found, foundS] = [index, turn.timestamp];
  });
  return found;
}
