// ClientError
// ├── Refused             the server will not take this as it is
// │   └── Unauthorized    it does not know the key or token, or no longer
// └── GaveUp              the call was not taken in time; it may be stored all the same, so send it again

export class ClientError extends Error {
  name = "ClientError";
}

export class Refused extends ClientError {
  name = "Refused";

  /**
   * @param {number} status of the answer; 0 where a browser does not tell it
   * @param {any} body of the answer, as docs/errors.md says; anything where it is not of the server
   */
  constructor(status, body) {
    super(status < 400 ? "The server redirects: give the client the address that it leads to." : sentence(status, body));
    this.status = status;
    /** @type {string | null} */
    this.code = body?.code ?? null;
    /** @type {string | null} */
    this.field = body?.field ?? null;
    /** @type {import("../types/index.js").Fault[]} */
    this.errors = Array.isArray(body?.errors) ? body.errors : [];
    /** @type {string | null} */
    this.requestId = body?.requestId ?? null;
  }
}

export class Unauthorized extends Refused {
  name = "Unauthorized";
}

export class GaveUp extends ClientError {
  name = "GaveUp";
}

/**
 * @param {number} status
 * @param {any} body
 * @returns {string}
 */
export function sentence(status, body) {
  return typeof body?.error === "string" ? body.error : `The server answered ${status}.`;
}
