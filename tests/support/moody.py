"""A server that answers calls as a test says, without storing any."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.web_app import served


@dataclass
class Moody:
    """Answers each call as it is told, the last answer for ever; None breaks off."""

    answers: list[web.Response | None]
    url: str = ""
    received: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.received.append(await request.json())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def answer(status: int, **headers: str) -> web.Response:
    """Return an answer in the form of the contract."""
    body = {"success": status < 300, "callId": "a" * 24, "error": "No.", "code": "bad_request", "field": None}
    return web.Response(status=status, headers=headers, body=json.dumps(body).encode())


@asynccontextmanager
async def moody_server(path: str = "") -> AsyncIterator[Moody]:
    """Run such a server, below a path if one is given; it stores every call until it is told otherwise."""
    server = Moody([answer(201)])
    app = web.Application(client_max_size=1 << 28)
    app.router.add_post(f"{path}/api/calls/ingest", server.answer)
    async with served(app) as port:
        server.url = f"http://127.0.0.1:{port}{path}"
        yield server
