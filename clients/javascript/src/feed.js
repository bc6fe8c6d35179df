// The messages of the feed and the position that they lead to. Pure.

/**
 * @typedef {object} Position
 * @property {string | null} epoch names the database that the numbers belong to; null where the caller did not know it
 * @property {number} seq the number of the last event
 */

/**
 * @param {string | number | undefined} after `<epoch>.<seq>` or `<seq>`
 * @returns {Position | null}
 */
export function parsePosition(after) {
  if (after === undefined) return null;
  const found = /^(?:([0-9a-f]{1,32})\.)?([0-9]{1,16})$/.exec(String(after));
  if (!found) throw new TypeError("after must be the position of an event, <epoch>.<number>, or a number");
  return { epoch: found[1] ?? null, seq: Number(found[2]) };
}

/** @param {Position} position */
export function formatPosition({ epoch, seq }) {
  return epoch === null ? String(seq) : `${epoch}.${seq}`;
}

/**
 * Returns where a message leads, and whether the caller gets it. Throws if an event is missing before it: connecting again
 * brings it.
 *
 * @param {Position | null} position null before the first hello
 * @param {any} message
 * @returns {{ position: Position, isNew: boolean }}
 */
export function advance(position, { event, epoch, seq }) {
  if (event === "resync") return { position: { epoch, seq }, isNew: true };
  if (event === "hello") {
    // Of another number or epoch it is followed by a resync.
    const isStart = position === null || (position.epoch === null && position.seq === seq);
    return { position: isStart ? { epoch, seq } : position, isNew: false };
  }
  if (position === null || !(seq <= position.seq + 1)) throw new Error("An event is missing.");
  if (seq <= position.seq) return { position, isNew: false };
  return { position: { epoch: position.epoch, seq }, isNew: true };
}

/** Takes a stream of server-sent events apart. */
export class Messages {
  #decoder = new TextDecoder();
  #rest = "";

  /**
   * Returns the messages whose last byte is in this piece.
   *
   * @param {Uint8Array} piece
   * @returns {any[]}
   */
  take(piece) {
    const lines = (this.#rest + this.#decoder.decode(piece, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice("data: ".length)));
  }
}
