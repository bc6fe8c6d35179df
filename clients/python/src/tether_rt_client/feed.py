"""The events of an organization over a WebSocket that is opened again as often as it breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import aiohttp

from .errors import Refused, Unauthorized
from .items import Cursor, Event, MissingEvent, Resync
from .retries import Retries, may_pass, retry_after_s

SESSION_ENDED: Final = 4401
_GREETING_S: Final = 30.0
"""Within this the server must have sent `hello`, which says how often it pings."""
_SILENT_HEARTBEATS: Final = 2

Connect = Callable[[str | None], AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]


class Feed:
    """Events after a position, in order, each once: `async for item in feed`. One loop reads it."""

    def __init__(self, connect: Connect, after: str | None, retries: Retries, on_retry: Callable[[str, float], None]) -> None:
        self._connect = connect
        self._cursor = Cursor(after)
        self._retries = retries
        self._on_retry = on_retry

    @property
    def position(self) -> str | None:
        """Where to go on: the position of the last item, or where the stream began; None until that is known."""
        return self._cursor.position

    async def __aiter__(self) -> AsyncGenerator[Event | Resync, None]:
        """Yield what happens, for ever. Raises `Refused` when trying again is useless, `Unauthorized` if the token ended."""
        failures = 0
        while True:
            refused, asked_s = None, 0.0
            try:
                async with self._connect(self.position) as socket:
                    silence_s = _GREETING_S
                    while (message := await _next_message(socket, silence_s)) is not None:
                        item = self._cursor.take(message)
                        if message["event"] == "hello":
                            silence_s = message["heartbeat"] * _SILENT_HEARTBEATS
                        if item is not None:
                            failures = 0  # a greeting alone is no success: the server may close behind it again and again
                            yield item
                if socket.close_code == SESSION_ENDED:
                    raise Unauthorized(401, "The session has expired or was ended, or the token was revoked.")
                reason = f"the connection was closed ({socket.close_code})"
            except aiohttp.WSServerHandshakeError as error:
                if not may_pass(error.status):
                    refused = _refusal(error.status)
                reason, asked_s = f"the server answered {error.status}", retry_after_s(error.headers or {})
            except MissingEvent:
                reason = "an event is missing"
            except TimeoutError:
                reason = "the server is silent"
            except (aiohttp.ClientError, OSError) as error:
                reason = str(error) or type(error).__name__
            except (ValueError, KeyError, TypeError) as error:
                reason = f"that was no message of a Tether server ({error!r})"
            if refused is not None:
                raise refused  # not where it was found: `__context__` would hold the request's headers, the token too
            failures += 1
            wait_s = self._retries.wait_s(failures, asked_s)
            self._on_retry(reason, wait_s)
            await asyncio.sleep(wait_s)


async def _next_message(socket: aiohttp.ClientWebSocketResponse, silence_s: float) -> Mapping[str, Any] | None:
    """Return the next message, None at the end; raises `TimeoutError` when not even a ping comes for so long."""
    while True:
        message = await socket.receive(silence_s)
        if message.type is aiohttp.WSMsgType.TEXT:
            decoded: Mapping[str, Any] = json.loads(message.data)
            return decoded
        if message.type is aiohttp.WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.PONG:
            return None


_REFUSALS: Final = {
    400: "The position is none that the server can have given.",
    401: "The server does not know the token, or it has expired.",
    403: "The token may not follow events: a read token needs the scope feed.",
    404: "There is no Tether server at this address.",
}


def _refusal(status: int) -> Refused:
    sentence = _REFUSALS.get(status, "Something in between does not pass WebSockets on, or this is no Tether server.")
    return (Unauthorized if status == 401 else Refused)(status, sentence)
