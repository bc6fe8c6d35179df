// The HTTP client against a real server on a port of the system's choice.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { ApiError, createApi } from "../../static/js/api.js";

let server, base, answer, asked, api, expirations;

before(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      asked = { method: request.method, path: request.url, body: body && JSON.parse(body) };
      if (answer === "hang up") return request.socket.destroy();
      const [status, text] = answer;
      response.writeHead(status, { "Content-Type": "application/json" }).end(text);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}/`;
});
after(() => server.close());
beforeEach(() => {
  expirations = 0;
  api = createApi({ fetch: (path, options) => fetch(base + path, options), onSessionExpired: () => (expirations += 1) });
});

const failure = (promise) =>
  promise.then(
    () => assert.fail("it succeeded"),
    (error) => error,
  );

test("an error has the sentence that the server sent", async () => {
  answer = [503, '{"success": false, "error": "MongoDB is away; try again shortly."}'];
  const error = await failure(api.history());
  assert.ok(error instanceof ApiError);
  assert.equal(error.status, 503);
  assert.equal(error.message, "MongoDB is away; try again shortly.");
});

test("a response that is not the server's JSON is an error with its status", async () => {
  for (const text of ["<html>Bad gateway</html>", "", '{"error": {"code": 1}}', "[]"]) {
    answer = [502, text];
    assert.equal((await failure(api.history())).message, "The server responded with status 502.");
  }
});

test("a 200 that is not JSON is an error", async () => {
  answer = [200, "<html>Sign in to the Wi-Fi</html>"];
  assert.ok((await failure(api.history())) instanceof ApiError);
});

test("a connection that the server closes is an error without a status", async () => {
  answer = "hang up";
  const error = await failure(api.history());
  assert.equal(error.status, 0);
  assert.equal(error.message, "Can't reach the server.");
});

test("any 401 ends the session, but a wrong password does not", async () => {
  answer = [401, '{"success": false, "error": "The email address or the password is wrong."}'];
  const error = await failure(api.signIn("a@b.example", "x"));
  assert.equal(error.message, "The email address or the password is wrong.");
  assert.equal(expirations, 0);
  await failure(api.history());
  assert.equal(expirations, 1);
});

test("the session is valid, invalid, or unknown if the server gives no answer", async () => {
  answer = [200, '{"message": "Token is good"}'];
  assert.equal(await api.hasSession(), true);
  answer = [401, '{"success": false, "error": "Sign in first."}'];
  assert.equal(await api.hasSession(), false);
  answer = [503, '{"success": false, "error": "Away."}'];
  assert.equal((await failure(api.hasSession())).status, 503);
});

test("ids are escaped in paths", async () => {
  answer = [200, '{"success": true, "call": {"callId": "x"}}'];
  assert.deepEqual(await api.call("../../user/api-key?x=#"), { callId: "x" });
  assert.equal(asked.path, "/api/calls/..%2F..%2Fuser%2Fapi-key%3Fx%3D%23");
});

test("signing in sends the credentials as typed and returns the user", async () => {
  answer = [200, '{"token": "t", "user": {"id": "u"}, "allowed": ["listen"], "organization": {"name": "Maple Dental"}}'];
  const user = { id: "u", allowed: ["listen"], organization: { name: "Maple Dental" } };
  assert.deepEqual(await api.signIn("a@b.example", "pass word"), user);
  assert.deepEqual(asked, { method: "POST", path: "/api/auth/login", body: { email: "a@b.example", password: "pass word" } });
});

test("an aborted request is not an error of the server", async () => {
  answer = [200, "{}"];
  const error = await failure(api.history({}, { signal: AbortSignal.abort() }));
  assert.equal(error.name, "AbortError");
});
