"""Contacts, their conversations and the messages in them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tether_rt.api import query
from tether_rt.domain.call import parse_time
from tether_rt.domain.contract import Contract
from tether_rt.domain.names import plain_name
from tether_rt.errors import BadRequest, NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.mongo.batch_contacts import Rename
from tether_rt.mongo.call_figures import CallFigures, ContactFigures
from tether_rt.mongo.contacts import Contacts
from tether_rt.mongo.documents import ContactDocument


class ContactsHandler(SessionHandler):
    """`GET /api/contacts`: one page, the last called first."""

    def initialize(self, exchange: Exchange, people: Contacts) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.people = people

    @within_deadline
    async def get(self) -> None:
        size = query.whole(self, "size", 50, 1, 200)
        page = query.whole(self, "page", 1, 1, query.MAX_OFFSET // 200)
        contacts, total = await self.people.contacts(
            self.reader.organization_id, search=query.text(self, "search"), skip=(page - 1) * size, limit=size
        )
        self.respond({"success": True, "data": contacts, "total": total})


class ContactHandler(SessionHandler):
    """`/api/contacts/{contactId}`: GET shows a contact, PATCH gives it a name."""

    body_methods = ("PATCH",)

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, people: Contacts, contract: Contract, group_commit: GroupCommit, figures: CallFigures
    ) -> None:
        super().initialize(exchange)
        self.people = people
        self.figures = figures
        self.contract = contract
        self.group_commit = group_commit

    @within_deadline
    async def get(self, contact_id: str) -> None:
        organization_id = self.reader.organization_id
        contact = await self.people.contact(organization_id, contact_id)
        self._show(contact, calls=await self.figures.of_contact(organization_id, contact_id))

    @within_deadline
    async def patch(self, contact_id: str) -> None:
        body = parse(self.request.body)
        self.contract.check("ContactRenameRequest", body)
        name = plain_name(body["name"])
        if name is None:
            raise BadRequest("name must not be empty", code="empty_value", field="name")
        organization_id = self.reader.organization_id
        await self.group_commit.submit(Rename(organization_id, contact_id, name))
        await self.record("renamed", contact_id=contact_id)
        self._show(await self.people.contact(organization_id, contact_id))

    def _show(self, contact: ContactDocument | None, **more: ContactFigures) -> None:
        if contact is None:
            raise NotFound("There is no such contact.")
        self.respond({"success": True, "contact": contact, **more})


class _ConversationHandler(SessionHandler):
    body_methods = ("POST",)
    schema = ""

    def initialize(self, exchange: Exchange, people: Contacts, contract: Contract) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.people = people
        self.contract = contract

    def body(self) -> dict[str, Any]:
        body = parse(self.request.body)
        self.contract.check(self.schema, body)
        return dict(body)


class ConversationsHandler(_ConversationHandler):
    """`POST /api/conversation/all`: a contact's conversations."""

    schema = "ConversationAllRequest"

    @within_deadline
    async def post(self) -> None:
        conversations = await self.people.conversations(self.reader.organization_id, self.body()["contactId"])
        if conversations is None:
            raise NotFound("There is no such contact.")
        self.respond({"success": True, "conversations": conversations})


class MessagesHandler(_ConversationHandler):
    """`POST /api/conversation/messages`: the last messages of a conversation, or those before one of them."""

    schema = "ConversationMessagesRequest"

    @within_deadline
    async def post(self) -> None:
        body = self.body()
        messages = await self.people.messages(
            self.reader.organization_id,
            body["conversationId"],
            before=_before(body.get("before")),
            limit=int(body.get("limit", 50)),  # 50.0 is a whole number in JSON Schema
        )
        if messages is None:
            raise NotFound("There is no such conversation.")
        self.respond({"success": True, "messages": messages})


def _before(text: str | None) -> datetime | str | None:
    if text is None or re.fullmatch(r"[0-9a-f]{24}", text):
        return text
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            "before must be a messageId or a time such as 2026-05-15T09:10:00Z", code="wrong_format", field="before"
        ) from error
