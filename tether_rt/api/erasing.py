"""Erasing for good: a call, a contact, all calls before a time; and what the retention would erase. For admins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tether_rt.api import query
from tether_rt.api.calls import CallHandler
from tether_rt.api.contacts import ContactHandler
from tether_rt.domain.call import parse_time
from tether_rt.domain.contract import Contract
from tether_rt.domain.erasure import Erased
from tether_rt.erasure.eraser import Eraser
from tether_rt.erasure.retention import Retention
from tether_rt.errors import BadRequest, NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.mongo.erasures import Asked

ANSWER_WITHIN_S: Final = 20.0
"""After this long the answer says what was erased until then, and what is still to be."""
MAX_DAYS: Final = 36_500


async def erase(handler: SessionHandler, eraser: Eraser, asked: Asked, missing: str) -> None:
    """Erase and answer: 200 when all is gone, 202 when the rest goes on; raises `NotFound` with the sentence `missing`."""
    erased = await eraser.erase(asked, ANSWER_WITHIN_S)
    if erased is None:
        raise NotFound(missing)
    _answer(handler, erased)


def _answer(handler: SessionHandler, erased: Erased) -> None:
    handler.respond({"success": True, **erased.shown()}, 200 if erased.is_done else 202)


class ErasableCallHandler(CallHandler):
    """`/api/calls/{callId}`: GET shows a call, DELETE erases it for good."""

    def initialize(self, exchange: Exchange, *, eraser: Eraser, **parts: Any) -> None:  # type: ignore[override]
        super().initialize(exchange, **parts)
        self.eraser = eraser

    async def delete(self, call_id: str) -> None:
        asked = Asked(self.session.organization_id, "call", self.session.user_id, "page", call_id=call_id)
        await erase(self, self.eraser, asked, "There is no such call.")


class ErasableContactHandler(ContactHandler):
    """`/api/contacts/{contactId}`: as `ContactHandler`, and DELETE erases the contact with all its calls for good."""

    def initialize(self, exchange: Exchange, *, eraser: Eraser, **parts: Any) -> None:  # type: ignore[override]
        super().initialize(exchange, **parts)
        self.eraser = eraser

    async def delete(self, contact_id: str) -> None:
        asked = Asked(self.session.organization_id, "contact", self.session.user_id, "page", contact_id=contact_id)
        await erase(self, self.eraser, asked, "There is no such contact.")


class EraseHandler(SessionHandler):
    """`POST /api/erase`: erases all calls that began before a time."""

    body_methods = ("POST",)

    def initialize(self, exchange: Exchange, eraser: Eraser, contract: Contract) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.eraser = eraser
        self.contract = contract

    async def post(self) -> None:
        body = parse(self.request.body)
        self.contract.check("EraseRequest", body)
        asked = Asked(
            self.session.organization_id, "before", self.session.user_id, "page", before=past_moment(body["before"], "before")
        )
        await erase(self, self.eraser, asked, "There is nothing to erase.")


class RetentionHandler(SessionHandler):
    """`GET /api/organization/retention`: what a retention would erase now."""

    def initialize(self, exchange: Exchange, retention: Retention) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.retention = retention

    @within_deadline
    async def get(self) -> None:
        days = {name: query.whole(self, name, 0, 1, MAX_DAYS) or None for name in ("callsDays", "recordingsDays")}
        preview = await self.retention.preview(self.session.organization_id, days["callsDays"], days["recordingsDays"])
        self.respond({"success": True, **days, **preview._asdict()})


def past_moment(text: str, name: str) -> datetime:
    """Return a date, which means its first moment in UTC, or a time; raises `BadRequest` for one that is not over."""
    try:
        moment = parse_time(f"{text}T00:00:00Z" if len(text) == len("2026-05-15") else text)
    except (ValueError, OverflowError) as error:
        said = f"{name} must be a date such as 2026-05-15 or a time such as 2026-05-15T09:10:00Z"
        raise BadRequest(said, code="wrong_format", field=name) from error
    if moment > datetime.now(UTC):
        raise BadRequest(f"{name} must not lie in the future", code="out_of_range", field=name)
    return moment
