"""`POST /api/webhook/{vendor}/{sourceId}`: a vendor's events, and the dry run of one.

The origin is proven on the raw bytes while they stream. Once that is done and the event is durable, the answer is 200 whatever
becomes of it: most vendors never repeat what was refused.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, cast

from tether_rt.auth.identity import VendorSource
from tether_rt.domain.source import Source, SourceKind
from tether_rt.errors import NotFound, TetherError, TooLarge, Unauthorized
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import bearer_token
from tether_rt.http.request_body import Body
from tether_rt.http.responses import Response, to_json
from tether_rt.http.streamed_body import StreamedBody
from tether_rt.ingest.deliveries import DeliveryKeeper
from tether_rt.ingest.validate_endpoint import RehearsalEndpoint, shown_call
from tether_rt.ingest.vendors.proof_methods import Fault
from tether_rt.ingest.vendors.registry import VENDORS
from tether_rt.ingest.vendors.signatures import SignedRequest, proof, proven
from tether_rt.ingest.webhooks import Event, Webhooks
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.streamed_audio import StreamedAudio, largest_body
from tether_rt.runtime.metrics import labelled

CARRY_AUDIO: Final = frozenset(("elevenlabs",))
"""Vendors whose events carry whole recordings: their bodies are taken apart while they arrive."""
_NO_SOURCE: Final = "There is no source with this address: copy the address from the source's page."
_SENTENCES: Final[dict[Fault, str]] = {
    "signature": "The signature of this request is missing or does not hold: check the secret of the source.",
    "stale": "The signature of this request is too old, or its time lies ahead: check the clock, and the source's tolerance.",
    "too_large": "The body is too large for its signature, which covers all of it at once.",
}


class WebhookEndpoint(Endpoint):
    """Proves the origin of an event and hands it on."""

    methods: ClassVar[tuple[str, ...]] = ("POST",)
    takes_json = True

    def __init__(
        self, exchange: Exchange, vendor: str, source_id: str, *, webhooks: Webhooks, spool: Spool, max_audio_bytes: int
    ) -> None:
        super().__init__(exchange)
        self._vendor = vendor
        self._source_id = source_id
        self._webhooks = webhooks
        self._spool = spool
        self._max_audio_bytes = max_audio_bytes
        self._source: Source | None = None
        self._audio: StreamedAudio | None = None

    @property
    def max_body_bytes(self) -> int:
        return largest_body(self._max_audio_bytes) if self._vendor in CARRY_AUDIO else self.context.max_body_bytes

    async def authorize(self) -> None:
        """Find the source and begin the proof; raises `NotFound`, and `Unauthorized` where the headers rule the proof out."""
        found = await self.find_source()
        self._source = found.source
        self.exchange.organization_id = found.source.organization_id
        request = self.exchange.request
        signed = SignedRequest(request.headers, request.headers.get("Host", ""), request.uri or "", self.context.base_path)
        self._proof = proof(self._vendor, signed, found.secrets, found.source.settings, datetime.now(UTC))
        if (fault := self._proof.fault_of_headers) is not None:
            raise self._unproven(fault)

    async def find_source(self) -> VendorSource:
        """Return the source that the address names; raises `NotFound`."""
        found = None
        if self._vendor in VENDORS:
            found = await self.context.identity.vendor_source(self._vendor, self._source_id, self.exchange.deadline)
        if found is None:
            raise NotFound(_NO_SOURCE)
        return found

    def require_media(self, declared_bytes: int | None) -> None:
        """Take any type: what cannot be read is kept, and said where deliveries are shown."""

    def new_body(self, declared_bytes: int) -> Body:
        if self._vendor not in CARRY_AUDIO:
            return super().new_body(declared_bytes)
        self._audio = StreamedAudio(self._spool, self._max_audio_bytes)
        context = self.context
        return StreamedBody(self._audio, context.budget, self.max_body_bytes, self.cut_off, context.pace_window_s)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.exchange.body is not None:
            self._proof.update(chunk)
        return super().data_received(chunk)

    def refused(self, error: TetherError) -> None:
        """Count what was too large: it is not kept, as its origin is not proven."""
        if isinstance(error, TooLarge) and self._source is not None:
            self.context.identity.refusal_counts.note(self._source.id, "too_large")

    async def respond(self) -> Response:
        """Judge the proof, keep the event and say that it was received."""
        assert self._source is not None, "it was authorized"
        if (fault := self._proof.fault()) is not None:
            raise self._unproven(fault)
        self.context.identity.last_seen.note(self._source.id)
        call_id = await self._webhooks.take(await self._event(self._source), self.exchange.deadline)
        return Response(200, to_json({"received": True, **({"callId": call_id} if call_id is not None else {})}))

    async def _event(self, source: Source) -> Event:
        webhook_id = self.exchange.request.headers.get("webhook-id") or None
        if self._audio is None:
            raw = self.take_body()
            return Event(source, self.exchange.request_id, raw, len(raw), webhook_id=webhook_id)
        streamed = await self._audio.finish()
        return Event(source, self.exchange.request_id, streamed.rest, streamed.size_bytes, streamed, webhook_id)

    def _unproven(self, fault: Fault) -> TetherError:
        assert self._source is not None, "it was found"
        labelled(self.context.metrics.webhooks, self._vendor, "refused").inc()
        if fault == "too_large":
            return TooLarge(_SENTENCES[fault])  # counted by `refused`
        self.context.identity.refusal_counts.note(self._source.id, fault)
        return Unauthorized(_SENTENCES[fault])


class BearerWebhookEndpoint(WebhookEndpoint):
    """`POST /api/webhook/elevenlabs`: the secret of an ElevenLabs source is the proof, as Tether has it."""

    def __init__(self, exchange: Exchange, *, webhooks: Webhooks, spool: Spool, max_audio_bytes: int) -> None:
        super().__init__(exchange, "elevenlabs", "", webhooks=webhooks, spool=spool, max_audio_bytes=max_audio_bytes)

    async def authorize(self) -> None:
        """Find the source by its secret; raises `Unauthorized`."""
        secret = bearer_token(self.exchange.request.headers)
        source = await self.context.identity.elevenlabs_source(secret, self.exchange.deadline) if secret else None
        if source is None:
            raise Unauthorized("Send Authorization: Bearer and the secret of an ElevenLabs source.")
        self._source = source
        self.exchange.organization_id = source.organization_id
        self._proof = proven()


class DryRunEndpoint(RehearsalEndpoint):
    """`POST /api/webhook/{vendor}/dry-run`: what would become of an event that came alone; nothing is stored or fetched."""

    def __init__(self, exchange: Exchange, vendor: str, *, webhooks: Webhooks, deliveries: DeliveryKeeper) -> None:
        super().__init__(exchange, deliveries)
        self._vendor = vendor
        self._webhooks = webhooks

    def require_media(self, declared_bytes: int | None) -> None:
        """Take any type, as the webhook does."""

    async def authorize(self) -> None:
        """Find the caller, and the source whose settings are lent; raises `NotFound` for one that is not the vendor's."""
        await super().authorize()
        assert self.source is not None, "it was found"
        organization_id = self.source.organization_id
        named = self.exchange.request.query_arguments.get("source", [])
        found = None
        if named:
            found = await self.context.identity.source_by_id(organization_id, named[0].decode(errors="replace"))
        if self._vendor not in VENDORS or (named and (found is None or found.kind != self._vendor)):
            raise NotFound(_NO_SOURCE if named else f"There are no webhooks of such a vendor: use one of {', '.join(VENDORS)}.")
        self._lent = found or Source("0" * 24, organization_id, "", cast(SourceKind, self._vendor))

    async def respond(self) -> Response:
        rehearsed = await self._webhooks.rehearse(self.take_body(), self._lent)
        result, call = rehearsed.result, rehearsed.call
        shown: dict[str, Any] = {
            "success": True,
            "verdict": result.verdict,
            "code": result.code,
            "field": result.field,
            "error": result.error,
            "call": shown_call(call) if call is not None else None,
            "missing": list(call.missing) if call is not None else [],
            "notes": [note._asdict() for note in rehearsed.reading.adapted.notes],
        }
        return Response(200, to_json(shown))
