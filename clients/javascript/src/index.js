export { Client } from "./client.js";
export { ClientError, GaveUp, Refused, Unauthorized } from "./errors.js";
