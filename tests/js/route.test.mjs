import assert from "node:assert/strict";
import { test } from "node:test";

import { callHref, contactHref, deliveriesHref, deliveryHref, listHref, newSourceHref, parseRoute, payloadTestHref, positionHref, sourceHref, sourcesHref, tokensHref } from "../../static/js/route.js";

test("an address leads to its call, contact and position, and back", () => {
  for (const id of ["64f0a1b2c3d4e5f6a7b8cb00", "a/b", "ü ?#"]) {
    assert.deepEqual(parseRoute(callHref(id)), { name: "call", id, filter: {}, atS: null });
    assert.deepEqual(parseRoute(contactHref(id)), { name: "contact", id, filter: {}, atS: null });
    assert.deepEqual(parseRoute(callHref(id, { search: "a & b" }, 0)), { name: "call", id, filter: { search: "a & b" }, atS: 0 });
    assert.deepEqual(parseRoute(positionHref(id, 12.34)), { name: "call", id, filter: {}, atS: 12.3 });
  }
});

test("a filter is in the address of the list and of a call", () => {
  const filter = { search: "büro & co?", status: "no-answer" };
  assert.deepEqual(parseRoute(listHref(filter)).filter, filter);
  assert.deepEqual(parseRoute(callHref("x", filter)), { name: "call", id: "x", filter, atS: null });
});

test("any other address is the list", () => {
  for (const hash of ["", "#", "#/", "#/calls", "#/calls/", "#/calls/a/b", "#/calls/%E0%A4%A", "#calls/x", "#/contacts/", "#/x"]) {
    assert.equal(parseRoute(hash).name, "list", hash);
  }
});

test("an invalid position is ignored", () => {
  for (const t of ["", "x", "-3", "1e9", "12.3456"]) assert.equal(parseRoute(`#/calls/a?t=${t}`).atS, null, t);
});

test("deliveries have a filter of their own in their address", () => {
  const filter = { source: "64f0a1b2c3d4e5f6a7b8cb00", verdict: "refused", code: "not_e164", date: "today" };
  assert.deepEqual(parseRoute(deliveriesHref(filter)), { name: "deliveries", id: null, filter, atS: null });
  assert.deepEqual(parseRoute(deliveryHref("d/1", filter)), { name: "deliveries", id: "d/1", filter, atS: null });
  assert.deepEqual(parseRoute("#/deliveries?verdict=odd&code=%3Cb%3E&status=busy").filter, {});
  assert.deepEqual(parseRoute(payloadTestHref(filter.source)), { name: "payload-test", id: null, filter: { source: filter.source }, atS: null });
  assert.deepEqual(parseRoute(payloadTestHref()).filter, {});
});

test("the read tokens have an address", () => {
  assert.deepEqual(parseRoute(tokensHref), { name: "tokens", id: null, filter: {}, atS: null });
});

test("the sources, one of them, and a new one have addresses", () => {
  assert.deepEqual(parseRoute(sourcesHref), { name: "sources", id: null, filter: {}, atS: null });
  assert.equal(parseRoute(newSourceHref).id, "new");
  assert.deepEqual(parseRoute(sourceHref("s/1")), { name: "sources", id: "s/1", filter: {}, atS: null });
});
