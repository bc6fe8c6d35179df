"""Connections to vendors' hosts, kept for the next request.

A kept connection is used again only for the same scheme, host and port, so for the same name in TLS, and only when the look-up
of this very request allowed the address at its other end: what the policy guarantees holds for it as for a new one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final

from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as TornadoTimeoutError

from tether_rt.recordings.fetch.failures import failed, not_in_time, passing
from tether_rt.recordings.fetch.resolver import FixedResolver
from tether_rt.recordings.fetch.url_policy import Address, Target
from tether_rt.recordings.store import PIECE_BYTES

MAX_KEPT: Final = 128
"""Idle connections in all; with more, the one that is idle for the longest time is closed."""
IDLE_S: Final = 10.0

_Key = tuple[str, str, int]


@dataclass(slots=True)
class _Idle:
    key: _Key
    address: Address
    timer: asyncio.TimerHandle


class HostConnections:
    """Opens connections and keeps idle ones; one for the process."""

    def __init__(self, tls: ssl.SSLContext, connect_s: float, *, max_kept: int = MAX_KEPT, idle_s: float = IDLE_S) -> None:
        self._tls = tls
        self._connect_s = connect_s
        self._max_kept = max_kept
        self._idle_s = idle_s
        # Both in the order in which they became idle.
        self._idle: dict[IOStream, _Idle] = {}
        self._by_key: dict[_Key, dict[IOStream, None]] = {}

    @property
    def kept(self) -> int:
        """How many are idle."""
        return len(self._idle)

    def take(self, target: Target, addresses: Collection[Address]) -> IOStream | None:
        """Return the connection to `target` that was used last, if its address is among `addresses`; None if there is none."""
        for stream in reversed(self._by_key.get(_key(target), {})):
            if self._idle[stream].address in addresses:
                self._forget(stream)
                return stream
        return None

    def keep(self, target: Target, stream: IOStream) -> None:
        """Keep a connection whose answer has been read to its end."""
        try:
            address = ip_address(stream.socket.getpeername()[0])
        except (OSError, ValueError):
            stream.close()
            return
        while len(self._idle) >= self._max_kept:
            self._drop(next(iter(self._idle)))
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._drop, stream)
        self._idle[stream] = _Idle(_key(target), address, timer)
        self._by_key.setdefault(_key(target), {})[stream] = None
        stream.set_close_callback(partial(self._forget, stream))

    async def connect(self, target: Target, addresses: list[Address]) -> IOStream:
        """Return a new connection to one of `addresses`; raises `FetchFailed`."""
        client = TCPClient(resolver=FixedResolver(addresses))
        try:
            stream = await client.connect(
                target.host,
                target.port,
                ssl_options=self._tls if target.scheme == "https" else None,
                max_buffer_size=PIECE_BYTES,
                timeout=self._connect_s,
            )
        except ssl.SSLCertVerificationError as error:
            raise failed("its host's certificate does not hold") from error
        except ssl.SSLError as error:
            raise failed("its host does not speak HTTPS there") from error
        except TornadoTimeoutError as error:
            raise not_in_time() from error
        except OSError as error:
            raise passing("its host refuses the connection or is not reachable") from error
        finally:
            client.close()
        if isinstance(stream.socket, ssl.SSLSocket):
            # An end of the connection without `close_notify` is to be an error, and not the end of the recording.
            stream.socket.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # a parameter that TCPClient does not pass
        return stream

    def close(self) -> None:
        """Close those that are idle; idempotent."""
        for stream in list(self._idle):
            self._drop(stream)

    def _drop(self, stream: IOStream) -> None:
        self._forget(stream)
        stream.close()

    def _forget(self, stream: IOStream) -> None:
        idle = self._idle.pop(stream)
        idle.timer.cancel()
        streams = self._by_key[idle.key]
        del streams[stream]
        if not streams:
            del self._by_key[idle.key]
        stream.set_close_callback(None)


def _key(target: Target) -> _Key:
    return target.scheme, target.host, target.port
