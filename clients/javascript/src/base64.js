const PIECE_BYTES = 3 << 13; // a multiple of three has no padding, and fits into the arguments of a function

/**
 * @param {import("../types/index.js").Recording} content
 * @returns {Promise<string>}
 */
export async function toBase64(content) {
  const bytes = new Uint8Array(await new Response(/** @type {BodyInit} */ (content)).arrayBuffer());
  const parts = [];
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(start, start + PIECE_BYTES))));
  }
  return parts.join("");
}
