/**
 * Splits a text at marks. Pure.
 *
 * @param {string} text
 * @param {[number, number][]} marks [from, to], ascending
 * @returns {{text: string, isMatch: boolean, at: number}[]} `at`: number of characters before the piece
 */
export function piecesOf(text, marks) {
  const pieces = [];
  let done = 0;
  const push = (to, isMatch) => {
    if (to > done) pieces.push({ text: text.slice(done, to), isMatch, at: done });
    done = Math.max(done, to);
  };
  for (const [from, to] of marks) {
    push(from, false);
    push(to, true);
  }
  push(text.length, false);
  return pieces;
}
