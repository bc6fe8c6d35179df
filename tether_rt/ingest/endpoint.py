"""The vendor's door: `POST /api/calls/ingest` for new calls, and `PATCH` there and below for changes of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from tether_rt.auth.credentials import looks_like_read_token
from tether_rt.domain.delivery import Kind
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, Forbidden, TetherError, Unauthorized, UnsupportedMedia
from tether_rt.http.callers import admit
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import bearer_token, declared_bytes_of, prefers
from tether_rt.http.responses import Response, to_json
from tether_rt.ingest.amending import Amending
from tether_rt.ingest.deliveries import KEPT_STATUSES, DeliveryKeeper, RefusedRequest
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.mongo.batch_plan import Created, Outcome
from tether_rt.runtime.metrics import labelled

MAX_UNSUPPORTED_BYTES: Final = 8 * 1024 * 1024
"""A body of a wrong type is taken up to this size, so that it is kept; a larger one is refused by its headers."""


class SourceEndpoint(Endpoint):
    """Finds the source by the API key, and keeps what is refused as a delivery."""

    source: Source | None = None

    def __init__(self, exchange: Exchange, deliveries: DeliveryKeeper) -> None:
        super().__init__(exchange)
        self._deliveries = deliveries
        self._unsupported: UnsupportedMedia | None = None
        self._raw: bytearray | None = None
        self._refused: TetherError | None = None

    @property
    def kind(self) -> Kind:
        """Which request it is."""
        return "amend" if self.exchange.request.method == "PATCH" else "ingest"

    @property
    def target(self) -> str | None:
        """The call that the address names, if it names one."""
        return None

    @property
    def max_body_bytes(self) -> int:
        return self.context.max_body_bytes

    async def authorize(self) -> None:
        """Find the source; raises `Unauthorized` without a key that holds, `TooManyRequests` past its rate limit."""
        self.source = admit(self.exchange, await self.find_source())

    async def find_source(self) -> Source:
        """Return the source of the API key; raises `Unauthorized` with how to send one, `Forbidden` for a read token."""
        headers = self.exchange.request.headers
        key = bearer_token(headers)
        source = await self.context.identity.caller(key, self.exchange.deadline) if key else None
        if source is None:
            if key is not None and looks_like_read_token(key):
                raise Forbidden("A read token sends nothing: send calls with an API key, which begins with tk_live_.")
            raise Unauthorized(_NO_KEY + (_MISPLACED_KEY if key is None and _has_misplaced_key(headers) else ""))
        return source

    def require_media(self, declared_bytes: int | None) -> None:
        """Judge the form of the body; that of a small one, which is to be kept, when it is here."""
        try:
            super().require_media(declared_bytes)
        except UnsupportedMedia as error:
            if declared_bytes is None or declared_bytes > MAX_UNSUPPORTED_BYTES:
                raise
            self._unsupported = error

    def take_body(self) -> bytearray:
        """Return the whole body, which is kept until the answer is out; raises `UnsupportedMedia`."""
        self._raw = super().take_body()
        if self._unsupported is not None:
            raise self._unsupported
        return self._raw

    def refused(self, error: TetherError) -> None:
        self._refused = error

    def end(self, status: int) -> None:
        """Keep what was refused, now that the answer is out."""
        error = self._refused if not self.exchange.is_over else None
        if error is not None and error.status in KEPT_STATUSES and self.source is not None:
            self._deliveries.keep(self._delivery(self.source, error))
        self._raw = None
        super().end(status)

    def _delivery(self, source: Source, error: TetherError) -> RefusedRequest:
        declared_bytes = declared_bytes_of(self.exchange.request) or 0
        return RefusedRequest(
            source=source,
            request_id=self.exchange.request_id,
            at=datetime.now(UTC),
            kind=self.kind,
            target=self.target,
            error=error,
            raw=self._raw,
            size_bytes=declared_bytes if self._raw is None else len(self._raw),
        )


_NO_KEY: Final = "Missing or invalid API key: send Authorization: Bearer tk_live_…"
_MISPLACED_KEY: Final = " (the key goes into that header, after the word Bearer)"
RESPOND_ASYNC: Final = "respond-async"
"""The preference for an answer before the recording is fetched (RFC 7240 section 4.1)."""
_DRY_RUN: Final = frozenset(("dryrun", "validate", "validateonly", "test"))


def _has_misplaced_key(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in ("Authorization", "X-API-Key", "Api-Key", "X-Auth-Token"))


class AmendEndpoint(SourceEndpoint):
    """`PATCH /api/calls/ingest/{externalCallId}`: changes a call that the address names."""

    methods: ClassVar[tuple[str, ...]] = ("PATCH",)

    def __init__(
        self, exchange: Exchange, external_call_id: str | None = None, *, amending: Amending, deliveries: DeliveryKeeper
    ) -> None:
        super().__init__(exchange, deliveries)
        self._external_call_id = external_call_id
        self._amending = amending

    @property
    def target(self) -> str | None:
        return self._external_call_id

    async def respond(self) -> Response:
        """Change the call and say which fields were changed."""
        body = self.take_body()
        assert self.source is not None, "it was authorized"
        taken = await self._amending.take(body, self.source, self._external_call_id, self.exchange.deadline)
        return Response(200, to_json({"success": True, "callId": taken.call_id, "changed": list(taken.changed)}))

    def end(self, status: int) -> None:
        """Count the request by its outcome, once."""
        if not self.exchange.is_over:
            is_amendment = self.exchange.request.method == "PATCH"
            labelled(self.context.metrics.ingest, "amended" if is_amendment and status == 200 else _outcome(status)).inc()
            self.context.metrics.ingest_s.observe(time.perf_counter() - self.exchange.started_s)
        super().end(status)


class IngestEndpoint(AmendEndpoint):
    """Hands a call that is posted to the pipeline; changes the call that the body of a PATCH names."""

    methods = ("POST", "PATCH")

    def __init__(self, exchange: Exchange, *, pipeline: Pipeline, amending: Amending, deliveries: DeliveryKeeper) -> None:
        super().__init__(exchange, amending=amending, deliveries=deliveries)
        self._pipeline = pipeline

    async def authorize(self) -> None:
        """Find the source; raises `BadRequest` for a query that asks for a dry run: the call would be stored."""
        await super().authorize()
        if any(name.lower().replace("_", "").replace("-", "") in _DRY_RUN for name in self.exchange.request.query_arguments):
            sentence = "The ingest has no dry run: post the same body to /api/calls/validate, which stores nothing"
            raise BadRequest(sentence, code="use_validate")

    def refused(self, error: TetherError) -> None:
        if error.code != "use_validate":  # a replay would store what was only a test
            super().refused(error)

    async def respond(self) -> Response:
        """Store the call, or change one, and say what became of it."""
        if self.exchange.request.method == "PATCH":
            return await super().respond()
        body = self.take_body()
        assert self.source is not None, "it was authorized"
        later = prefers(self.exchange.request.headers, RESPOND_ASYNC)
        outcome = await self._pipeline.take(body, self.source, self.exchange.deadline, later=later)
        status, payload = outcome_response(outcome)
        is_followed = later and isinstance(outcome, Created) and outcome.is_pending
        return Response(status, to_json(payload), {"Preference-Applied": RESPOND_ASYNC} if is_followed else {})


def outcome_response(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """Return the answer to an outcome: the status, and the payload of its JSON."""
    if isinstance(outcome, Created):
        ids = outcome.ids
        created = {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}
        warnings = [warning._asdict() for warning in outcome.warnings]
        pending = {"recording": "pending"} if outcome.is_pending else {}
        return 201, {"success": True, **created, **pending, **({"warnings": warnings} if warnings else {})}
    duplicate: dict[str, Any] = {"success": True, "deduplicated": True, "callId": outcome.call_id}
    if outcome.differs:
        duplicate |= {"payloadDiffers": True, "differs": outcome.fields}
    return 200, duplicate


def _outcome(status: int) -> str:
    if status in (200, 201):
        return "created" if status == 201 else "duplicate"
    if status == 503:
        return "unavailable"
    return "refused" if status < 500 else "failed"
