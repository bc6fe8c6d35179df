"""What was refused: looked at by admins and, of its own, by a source with its API key; replayed by admins."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from tether_rt.api import query
from tether_rt.auth.credentials import looks_like_api_key
from tether_rt.auth.sealed_bodies import SealBroken
from tether_rt.domain.call import parse_time
from tether_rt.domain.contract import Contract
from tether_rt.domain.delivery import FAILED, VERDICTS, Result, Verdict
from tether_rt.errors import BadRequest, NotFound, Unauthorized
from tether_rt.http.callers import admit
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.headers import bearer_token
from tether_rt.http.json_body import parse
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.ingest.replay import Replays
from tether_rt.mongo.client import unavailable
from tether_rt.mongo.deliveries import Deliveries, DeliveryFilter
from tether_rt.mongo.documents import DeliveryDocument
from tether_rt.runtime.logs import log

REPLAY_S: Final = 15.0
"""After this long, a request that replays many begins no other one; its answer says where to resume."""
_LOG: Final = logging.getLogger("tether.deliveries")
_SHOWN: Final = (
    "at", "sourceId", "requestId", "kind", "target", "verdict", "code", "field", "error", "callId", "bytes", "times",
    "attempts",
)  # fmt: skip


class AdminHandler(SessionHandler):
    """The base of handlers for admins alone."""

    def initialize(self, exchange: Exchange, deliveries: Deliveries) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.deliveries = deliveries


class ReaderHandler(AdminHandler):
    """The base of handlers that a source may call as well, with its API key: it sees its own deliveries."""

    organization_id: str
    source_id: str | None = None
    """The source that asks; None for an admin, who sees all."""

    async def authorize(self) -> None:
        """Find the source or the session; raises as `SessionHandler.authorize`, and `TooManyRequests`."""
        key = bearer_token(self.request.headers)
        if key is None or not looks_like_api_key(key):
            await super().authorize()
            self.organization_id = self.session.organization_id
            return
        source = await self.context.identity.caller(key, self.deadline)
        if source is None:
            raise Unauthorized("The API key is not valid.")
        admit(self.exchange, source)
        self.organization_id, self.source_id = source.organization_id, source.id

    async def found(self, delivery_id: str) -> DeliveryDocument:
        """Return a delivery that the caller may see; raises `NotFound`."""
        delivery = await self.deliveries.find(self.organization_id, delivery_id)
        if delivery is None or self.source_id not in (None, delivery["sourceId"]):
            raise _no_such()
        return delivery


class DeliveriesHandler(ReaderHandler):
    """`GET /api/deliveries`: one page, newest first."""

    @within_deadline
    async def get(self) -> None:
        verdict = cast("Verdict | None", query.one_of(self, "verdict", VERDICTS))
        chosen = DeliveryFilter(
            source_id=query.text(self, "source"),
            verdicts=(verdict,) if verdict is not None else None,
            code=query.text(self, "code"),
            call_id=query.text(self, "callId"),
            start=query.moment(self, "from"),
            end=query.moment(self, "to", end=True),
        )
        limit = query.whole(self, "limit", 50, 1, 200)
        before = query.text(self, "before")
        if self.source_id is not None:
            if chosen.source_id not in (None, self.source_id):
                raise NotFound("There is no such source.")
            chosen = replace(chosen, source_id=self.source_id)
        if before is not None:
            await self.found(before)
        page = await self.deliveries.page(self.organization_id, chosen, limit=limit, before=before)
        if page is None:
            raise _no_such()
        self.respond({"success": True, "deliveries": [_shown(one) for one in page.deliveries], "total": page.total})


class DeliveryHandler(ReaderHandler):
    """`GET /api/deliveries/{deliveryId}`: one delivery with all its faults, its notes and attempts."""

    @within_deadline
    async def get(self, delivery_id: str) -> None:
        delivery = await self.found(delivery_id)
        self.respond(
            {"success": True, "delivery": {**_shown(delivery), "errors": delivery["errors"], "notes": delivery["notes"]}}
        )


class DeliveryBodyHandler(ReaderHandler):
    """`GET /api/deliveries/{deliveryId}/body`: what was sent, its secrets masked."""

    def initialize(self, exchange: Exchange, deliveries: Deliveries, bodies: DeliveryBodies) -> None:  # type: ignore[override]
        super().initialize(exchange, deliveries)
        self.bodies = bodies

    @within_deadline
    async def get(self, delivery_id: str) -> None:
        await self.found(delivery_id)
        try:
            body = await self.bodies.shown(self.organization_id, delivery_id)
        except SealBroken as error:
            raise NotFound("The body of this delivery was encrypted with another secret.") from error
        if body is None:
            raise NotFound("The body of this delivery was not kept.")
        self.respond({"success": True, "body": body.content, "isJson": body.is_json})


class ReasonsHandler(AdminHandler):
    """`GET /api/deliveries/reasons`: how many there are of each verdict and code."""

    @within_deadline
    async def get(self) -> None:
        self.respond({"success": True, "reasons": await self.deliveries.reasons(self.session.organization_id)})


class ReplayHandler(AdminHandler):
    """`POST /api/deliveries/{deliveryId}/replay`: one more attempt."""

    def initialize(self, exchange: Exchange, deliveries: Deliveries, replays: Replays) -> None:  # type: ignore[override]
        super().initialize(exchange, deliveries)
        self.replays = replays

    async def post(self, delivery_id: str) -> None:
        async with self.deadline:
            await self.record("replayed", details={"deliveryId": delivery_id[:24]})
        result = await self.replays.replay(self.session.organization_id, delivery_id, self.session.user_id)
        if result is None:
            raise _no_such()
        self.respond({"success": True, **_outcome(result)})


class ReplayManyHandler(AdminHandler):
    """`POST /api/deliveries/replay`: how many match, or one more attempt of each, the oldest first."""

    body_methods = ("POST",)

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, deliveries: Deliveries, replays: Replays, contract: Contract
    ) -> None:
        super().initialize(exchange, deliveries)
        self.replays = replays
        self.contract = contract

    async def post(self) -> None:
        body = parse(self.request.body)
        self.contract.check("ReplayRequest", body)
        chosen = _filter(body.get("filter", {}))
        organization_id = self.session.organization_id
        async with self.deadline:
            matching = await self.deliveries.count(organization_id, chosen)
        if body.get("plan", True):
            self.respond({"success": True, "matching": matching})
            return
        async with self.deadline:
            await self.record("replayed", details={"matching": matching})
        verdicts: Counter[str] = Counter()
        last: DeliveryDocument | None = None
        loop = asyncio.get_running_loop()
        until_s = loop.time() + REPLAY_S
        is_complete = True
        async with aclosing(self.replays.each(organization_id, chosen, self.session.user_id)) as replayed:
            try:
                async for delivery, result in replayed:
                    verdicts[result.verdict] += 1
                    last = delivery
                    if loop.time() > until_s:
                        is_complete = False
                        break
            except Exception as error:
                away = unavailable(error)
                if away is None or last is None:
                    raise
                is_complete = False
                log(_LOG, logging.WARNING, "replay_stopped", replayed=verdicts.total(), reason=str(away))
        self.respond(
            {
                "success": True,
                "matching": matching,
                "replayed": verdicts.total(),
                "verdicts": verdicts,
                "resumeFrom": None if is_complete or last is None else last["at"],
            }
        )


def _filter(given: dict[str, Any]) -> DeliveryFilter:
    """Return the filter of a request's body; what arrives from now on does not match."""
    now = datetime.now(UTC)
    end = _time(given, "to")
    verdict = given.get("verdict")
    return DeliveryFilter(
        source_id=given.get("source"),
        verdicts=(verdict,) if verdict is not None else FAILED,
        code=given.get("code"),
        call_id=given.get("callId"),
        start=_time(given, "from"),
        end=min(end + timedelta(milliseconds=1), now) if end is not None else now,
    )


def _time(given: dict[str, Any], name: str) -> datetime | None:
    try:
        return parse_time(given[name]) if name in given else None
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"filter.{name} must be a time such as 2026-05-15T09:10:00Z", code="wrong_format", field=f"filter.{name}"
        ) from error


def _shown(delivery: DeliveryDocument) -> dict[str, Any]:
    return {"id": delivery["_id"], **{name: delivery.get(name) for name in _SHOWN}}


def _outcome(result: Result) -> dict[str, Any]:
    shown = {"callId": result.call_id, "code": result.code, "field": result.field, "error": result.error}
    return {"verdict": result.verdict, **{name: value for name, value in shown.items() if value is not None}}


def _no_such() -> NotFound:
    return NotFound("There is no such delivery.")
