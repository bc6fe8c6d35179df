"""`POST /api/calls/validate`: what the ingest would make of a body. Nothing is stored, fetched or kept."""

from __future__ import annotations

from typing import Any

from tether_rt.domain.call import CompletedCall
from tether_rt.domain.events import event_names
from tether_rt.domain.source import Source
from tether_rt.errors import TetherError, Unauthorized
from tether_rt.http.callers import require_session
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import bearer_token
from tether_rt.http.responses import Response, to_json
from tether_rt.ingest.deliveries import DeliveryKeeper
from tether_rt.ingest.endpoint import SourceEndpoint
from tether_rt.ingest.pipeline import Pipeline, Rehearsal
from tether_rt.mongo.calls import UNSHOWN, call_content


class RehearsalEndpoint(SourceEndpoint):
    """Rehearses something: for the source of an API key, or for a signed-in user as that user's own key."""

    methods = ("POST",)

    async def find_source(self) -> Source:
        """Return the source of the API key, or of the session's user; raises `Unauthorized`, and `Forbidden` as sessions do."""
        token = bearer_token(self.exchange.request.headers)
        if token is not None and (source := await self.context.identity.caller(token, self.exchange.deadline)) is not None:
            return source
        try:
            session = await require_session(self.exchange)
        except Unauthorized as error:
            raise Unauthorized("Send an API key as Authorization: Bearer tk_live_…, or sign in.") from error
        async with self.exchange.deadline:
            user = await self.context.identity.user(session.user_id)
        return Source(session.user_id, session.organization_id, user["fullName"] if user else "")

    def refused(self, error: TetherError) -> None:
        """Keep nothing: a rehearsal is no delivery."""


class ValidateEndpoint(RehearsalEndpoint):
    """Rehearses a call."""

    def __init__(self, exchange: Exchange, pipeline: Pipeline, deliveries: DeliveryKeeper) -> None:
        super().__init__(exchange, deliveries)
        self._pipeline = pipeline

    async def respond(self) -> Response:
        """Say what would become of the call."""
        body = self.take_body()
        assert self.source is not None, "it was authorized"
        return Response(200, to_json(_shown(await self._pipeline.rehearse(body, self.source, self.exchange.deadline))))


def _shown(rehearsal: Rehearsal) -> dict[str, Any]:
    call, duplicate = rehearsal.call, rehearsal.duplicate
    has_recording = call is not None and call.status == "completed"
    shown: dict[str, Any] = {
        "success": True,
        "verdict": rehearsal.verdict,
        "errors": [fault._asdict() for fault in rehearsal.faults],
        "warnings": [warning._asdict() for warning in call.warnings] if call is not None else [],
        "call": shown_call(call) if call is not None else None,
        "events": list(event_names(has_recording=has_recording)) if call is not None else [],
    }
    if duplicate is not None:
        shown["callId"] = duplicate.call_id
        if duplicate.differs:
            shown |= {"payloadDiffers": True, "differs": duplicate.fields}
    return shown


def shown_call(call: CompletedCall) -> dict[str, Any]:
    """Return a call as it would be shown, without what only storing it makes: ids, times, its recording."""
    content = {name: value for name, value in call_content(call, None).items() if name not in UNSHOWN}
    own = {"sourceId": call.source_id, "historic": call.is_historic, "warnings": content.get("warnings", [])}
    return {**content, **own}
