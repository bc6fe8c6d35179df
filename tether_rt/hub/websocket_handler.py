"""`GET /ws`: decides who may open a dashboard's stream, and upgrades the connection.

Everything is decided before the upgrade, so that every refusal is an HTTP answer with the one JSON error shape. After it the
connection belongs to the hub. Tornado's `WebSocketHandler` is not used: it keeps the request, its headers and the coroutines
that answered it for as long as the dashboard is open, which takes 19.5 KB for each in place of 6.
"""

from __future__ import annotations

from typing import Any, Final

from tornado.web import RequestHandler

from tether_rt.errors import BadRequest, UpgradeRequired
from tether_rt.http.callers import permitted_bearer, permitted_session, refuse_foreign_page
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler
from tether_rt.http.headers import bearer_token, session_cookie
from tether_rt.hub.frames import accept_key
from tether_rt.hub.hub import Hub
from tether_rt.hub.protocol import SUBPROTOCOL, offered_subprotocols, parse_after, subprotocol_token

_VERSION: Final = "13"


class DashboardSocket(SessionHandler):
    """The request that opens a dashboard's stream."""

    head: Any = RequestHandler.head  # only GET asks for an upgrade (RFC 6455 section 4.1)

    def initialize(self, exchange: Exchange, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.hub = hub

    async def authorize(self) -> None:
        """Find the session or the read token; raises `Forbidden` for another site's page and `Unauthorized` without either.

        A page of another site can open a WebSocket here, and the browser sends our cookie along (RFC 6455 section 10.2). So the
        cookie counts only with an `Origin`, and an `Origin` must be one of ours.
        """
        headers = self.request.headers
        refuse_foreign_page(self.exchange)
        token = bearer_token(headers) or subprotocol_token(self._offered())
        if token is not None:
            self.reader = await permitted_bearer(self.exchange, token)
        else:
            cookie = session_cookie(headers) if "Origin" in headers else None
            self.reader = await permitted_session(self.exchange, cookie)

    async def get(self) -> None:
        """Admit the dashboard, upgrade the connection and hand it to the hub."""
        self._require_upgrade()
        after = parse_after(self.get_query_argument("after", None, strip=False))
        async with self.deadline:
            dashboard = await self.hub.admit(self.reader, after)
        try:
            self._switch_protocols()
            self.hub.serve(dashboard, self.detach())
        except BaseException:
            self.hub.remove(dashboard)
            raise

    def _switch_protocols(self) -> None:
        """Answer 101 (RFC 6455 section 4.2.2)."""
        self.set_status(101)
        self.set_header("Upgrade", "websocket")
        self.set_header("Connection", "Upgrade")
        self.set_header("Sec-WebSocket-Accept", accept_key(self.request.headers["Sec-WebSocket-Key"]))
        if SUBPROTOCOL in self._offered():  # the one that carries the token is never sent back
            self.set_header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        self.finish()

    def _require_upgrade(self) -> None:
        """Raise `UpgradeRequired` or `BadRequest` unless this is a WebSocket's opening handshake (RFC 6455 section 4.2.1)."""
        headers = self.request.headers
        connection = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
        if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in connection:
            raise UpgradeRequired("This address speaks WebSocket: connect with a WebSocket client.")
        if headers.get("Sec-WebSocket-Version") != _VERSION:
            raise UpgradeRequired("Sec-WebSocket-Version must be 13.")
        if not headers.get("Sec-WebSocket-Key") or not headers.get("Host"):
            raise BadRequest("The headers Sec-WebSocket-Key and Host are required.")

    def _offered(self) -> list[str]:
        return offered_subprotocols(self.request.headers.get("Sec-WebSocket-Protocol"))
