"""`GET /ws`: who may open a dashboard's stream, and the WebSocket as Tornado has it.

Everything is judged before the upgrade, so that every refusal is an HTTP answer with the one JSON error shape.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Final

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13, _WebSocketParams

from tether_rt.errors import BadRequest, Forbidden, TetherError, Unauthorized
from tether_rt.http.context import HttpContext
from tether_rt.http.handlers import SessionHandler
from tether_rt.http.headers import SESSION_COOKIE, bearer_token, from_foreign_page
from tether_rt.hub.dashboard_connection import Dashboard
from tether_rt.hub.hub import Hub
from tether_rt.hub.protocol import SUBPROTOCOL, Close, offered_subprotocols, parse_after, subprotocol_token

MAX_MESSAGE_BYTES: Final = 4096
_MESSAGE_TOO_BIG: Final = 1009
_DISCARD_BYTES: Final = 65_536
_YIELD_BYTES: Final = 256 * 1024
_FRAME_COST_BYTES: Final = 1024
"""A peer that sends faster than is read leaves others their turn after so much, small frames counting for more: Tornado's."""

# No pings: the hub sends them, with one timer for all. No compression: frames are shared.
_PARAMS: Final = _WebSocketParams(max_message_size=MAX_MESSAGE_BYTES)

_logger = logging.getLogger("tether.hub")


class UpgradeRequired(TetherError):
    """The request does not ask for a WebSocket (RFC 9110 section 15.5.22)."""

    status = 426


class DashboardSocket(SessionHandler, WebSocketHandler):
    """One dashboard's connection."""

    answers_in_time = False
    head: Any = RequestHandler.head  # no method but GET asks for an upgrade (RFC 6455 section 4.1)

    def initialize(self, web: HttpContext, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(web)
        self.hub = hub
        self._dashboard: Dashboard | None = None
        self._is_open = False

    # ------------------------------------------------------------------ before the upgrade

    async def authorize(self) -> None:
        """Find the session; raises `Forbidden` for another site's page and `Unauthorized` without a session.

        A page of another site can open a WebSocket here and the browser sends our cookie along (RFC 6455 section 10.2), so the
        cookie counts only with an `Origin`, and any `Origin` must be one of ours.
        """
        headers = self.request.headers
        if from_foreign_page(self.request, self.web.allowed_origins):
            raise Forbidden("Dashboards on pages of another site are not served.")
        token = bearer_token(self.request.headers) or subprotocol_token(self._offered())
        if token is None and "Origin" in headers:
            token = self.get_cookie(SESSION_COOKIE)
        session = await self.web.identity.session(token, self.deadline) if token else None
        if session is None:
            raise Unauthorized("Sign in first: the session is missing, expired or ended.")
        self.session = session
        self.organization_id = session.organization_id

    async def get(self) -> None:
        """Admit the dashboard and upgrade; from then on the connection looks after itself."""
        self._require_upgrade()
        after = parse_after(self.get_query_argument("after", None, strip=False))
        async with self.deadline:
            self._dashboard = await self.hub.admit(self.session, after)
        try:
            await super().get()
        finally:
            if not self._is_open:
                self.hub.discharge(self._dashboard)

    def _require_upgrade(self) -> None:
        """Refuse what Tornado would refuse in plain text (RFC 6455 section 4.2.1)."""
        headers = self.request.headers
        connection = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
        if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in connection:
            raise UpgradeRequired("This address speaks WebSocket: connect with a WebSocket client.")
        if headers.get("Sec-WebSocket-Version") != "13":
            raise UpgradeRequired("Sec-WebSocket-Version must be 13")
        if not headers.get("Sec-WebSocket-Key") or not headers.get("Host"):
            raise BadRequest("Sec-WebSocket-Key and Host must be there")

    def _fill_error(self, error: TetherError) -> None:
        super()._fill_error(error)
        if error.status == UpgradeRequired.status:
            self.set_header("Upgrade", "websocket")
            self.set_header("Sec-WebSocket-Version", "13")

    def _offered(self) -> list[str]:
        return offered_subprotocols(self.request.headers.get("Sec-WebSocket-Protocol"))

    def check_origin(self, origin: str) -> bool:
        """`authorize` has judged it."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose ours when it is offered; the one that carries the token is never sent back."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    # ------------------------------------------------------------------ after it

    def get_websocket_protocol(self) -> WebSocketProtocol:
        return _Protocol(self, False, _PARAMS)

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin the stream; nothing was awaited since the dashboard was admitted."""
        assert self._dashboard is not None
        connection = self.ws_connection
        assert isinstance(connection, _Protocol)
        connection.handler = _Listener(self.hub, self._dashboard)
        self._dashboard.start(connection.stream, connection.close, self.hub.heartbeat_s)
        self._is_open = True
        RequestHandler._break_cycles(self)


class _Listener:
    """Hears what a dashboard says, in the place of the handler.

    The handler, its request and the coroutines that answered it would be two thirds of an idle dashboard's memory.
    """

    __slots__ = ("_dashboard", "_hub")

    def __init__(self, hub: Hub, dashboard: Dashboard) -> None:
        self._hub = hub
        self._dashboard = dashboard

    def on_ws_connection_close(self, close_code: int | None = None, close_reason: str | None = None) -> None:
        """The connection is over."""
        self._hub.discharge(self._dashboard)

    def on_message(self, message: str | bytes) -> None:
        """There is nothing that a dashboard may say."""
        self._dashboard.close(Close.POLICY_VIOLATION)

    def on_ping(self, data: bytes) -> None:
        """Tornado has answered."""

    def on_pong(self, data: bytes) -> None:
        """The peer is there."""
        self._dashboard.unanswered = 0

    def log_exception(self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """One of these methods failed, and Tornado ends the connection."""
        _logger.error("unexpected_error", exc_info=(typ, value, tb) if typ and value else None)


class _Protocol(WebSocketProtocol13):
    """Tornado's protocol, but a message that is too long gets the same answer as any other, and the answer arrives.

    Tornado closes with 1009 and cuts the connection at once. While more of the message is on its way the kernel then sends a
    reset, which takes the close frame with it; so what still comes is read and thrown away until Tornado's 5 s for a closing
    handshake are over.

    It reads in a task of its own, one coroutine deep while nothing comes.
    """

    handler: DashboardSocket | _Listener
    _listening: asyncio.Task[None] | None = None
    _head = b""
    _deaf = False
    _spared = False

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        if code == _MESSAGE_TOO_BIG:
            self._deaf = self._spared = True
            self.handler.on_message(b"")
        else:
            super().close(code, reason)

    def _abort(self) -> None:
        if self._spared:
            self._spared = False  # it comes right after the close above; the next one is meant
        else:
            super()._abort()

    async def _receive_frame_loop(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            work = 0
            while not self.client_terminated:
                # The beginning of a frame is awaited here, in one coroutine and not in four.
                self._head = await self.stream.read_bytes(2)
                before_bytes = self._wire_bytes_in
                await self._receive_frame()
                work += _FRAME_COST_BYTES + self._wire_bytes_in - before_bytes
                if work >= _YIELD_BYTES:
                    work = 0
                    await asyncio.sleep(0)
        except (StreamClosedError, ValueError):  # ValueError: what should be text is none
            self._abort()
        finally:
            self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    async def _read_bytes(self, n: int) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            self._wire_bytes_in += len(head)
            return head
        return await super()._read_bytes(n)

    async def _receive_frame(self) -> None:
        if self._deaf:
            await self._read_bytes(2)
            self._wire_bytes_in += len(await self.stream.read_bytes(_DISCARD_BYTES, partial=True))
        else:
            await super()._receive_frame()
