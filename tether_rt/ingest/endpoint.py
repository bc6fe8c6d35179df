"""`POST /api/calls/ingest`: the vendor's door."""

from __future__ import annotations

import time
from typing import Any

from tether_rt.auth.rate_limits import retry_after_s
from tether_rt.domain.source import Source
from tether_rt.errors import TooManyRequests, Unauthorized
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import bearer_token
from tether_rt.http.responses import Response, to_json
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.mongo.batch_plan import Created, Outcome
from tether_rt.runtime.metrics import labelled


class IngestEndpoint(Endpoint):
    """Judges the API key by the headers, hands the body to the pipeline, answers with the outcome."""

    methods = ("POST",)
    source: Source

    def __init__(self, exchange: Exchange, pipeline: Pipeline) -> None:
        super().__init__(exchange)
        self._pipeline = pipeline

    @property
    def max_body_bytes(self) -> int:
        return self.context.max_body_bytes

    async def authorize(self) -> None:
        """Find the source; raises `Unauthorized` without a key that holds, `TooManyRequests` past its rate limit."""
        key = bearer_token(self.exchange.request.headers)
        source = await self.context.identity.caller(key, self.exchange.deadline) if key else None
        if source is None:
            raise Unauthorized("Missing or invalid API key: send Authorization: Bearer tk_live_…")
        self.source = source
        self.exchange.organization_id = source.organization_id
        wait_s = self.context.key_rate.take(source.id) if self.context.key_rate is not None else 0.0
        if wait_s:
            raise TooManyRequests(
                "This API key calls too often; send the call again later.", retry_after_s(wait_s), limit="key_rate"
            )

    async def respond(self) -> Response:
        """Store the call and say what became of it."""
        status, payload = outcome_response(await self._pipeline.take(self.take_body(), self.source, self.exchange.deadline))
        return Response(status, to_json(payload))

    def end(self, status: int) -> None:
        """Count the request by its outcome, once."""
        if not self.exchange.is_over:
            labelled(self.context.metrics.ingest, _outcome(status)).inc()
            self.context.metrics.ingest_s.observe(time.perf_counter() - self.exchange.started_s)
        super().end(status)


def outcome_response(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """Return the answer to an outcome: the status, and the payload of its JSON."""
    if isinstance(outcome, Created):
        ids = outcome.ids
        created = {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}
        return 201, {"success": True, **created}
    duplicate: dict[str, Any] = {"success": True, "deduplicated": True, "callId": outcome.call_id}
    if outcome.differs:
        duplicate["payloadDiffers"] = True
    return 200, duplicate


def _outcome(status: int) -> str:
    if status in (200, 201):
        return "created" if status == 201 else "duplicate"
    if status == 503:
        return "unavailable"
    return "refused" if status < 500 else "failed"
