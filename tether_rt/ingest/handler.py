"""`POST /api/calls/ingest`: the vendor's door."""

from __future__ import annotations

import time
from typing import Any

from tether_rt.auth.rate_limits import retry_after_s
from tether_rt.domain.call import Caller
from tether_rt.errors import TooManyRequests, Unauthorized
from tether_rt.http.context import HttpContext
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.headers import bearer_token
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.mongo.batch_plan import Created, Outcome
from tether_rt.runtime.metrics import Metrics, labelled


class IngestHandler(JsonHandler):
    """Judges the API key by the headers, hands the body to the pipeline, answers with the outcome."""

    takes_body = True
    caller: Caller

    def initialize(self, web: HttpContext, pipeline: Pipeline) -> None:  # type: ignore[override]
        super().initialize(web)
        self.pipeline = pipeline

    @property
    def max_body_bytes(self) -> int:
        return self.web.max_body_bytes

    async def authorize(self) -> None:
        key = bearer_token(self.request.headers)
        caller = await self.web.identity.caller(key, self.deadline) if key else None
        if caller is None:
            raise Unauthorized("Missing or invalid API key: send Authorization: Bearer tk_live_…")
        self.caller = caller
        self.organization_id = caller.organization_id
        wait_s = self.web.key_rate.take(caller.user_id) if self.web.key_rate is not None else 0.0
        if wait_s:
            raise TooManyRequests(
                "This API key calls too often; send the call again later.", retry_after_s(wait_s), limit="key_rate"
            )

    async def post(self) -> None:
        status, payload = outcome_response(await self.pipeline.take(self.take_body(), self.caller, self.deadline))
        self.respond(payload, status)

    def on_finish(self) -> None:
        super().on_finish()
        if self.request.method == "POST":
            note_ingest(self.web.metrics, self.get_status(), time.perf_counter() - self.started_s)


def outcome_response(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """Return what a caller hears of an outcome: the status, and the answer's JSON."""
    if isinstance(outcome, Created):
        ids = outcome.ids
        created = {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}
        return 201, {"success": True, **created}
    duplicate: dict[str, Any] = {"success": True, "deduplicated": True, "callId": outcome.call_id}
    if outcome.differs:
        duplicate["payloadDiffers"] = True
    return 200, duplicate


def note_ingest(metrics: Metrics, status: int, elapsed_s: float) -> None:
    """Count a request for the mission by its outcome."""
    labelled(metrics.ingest, _outcome(status)).inc()
    metrics.ingest_s.observe(elapsed_s)


def _outcome(status: int) -> str:
    if status in (200, 201):
        return "created" if status == 201 else "duplicate"
    if status == 503:
        return "unavailable"
    return "refused" if status < 500 else "failed"
