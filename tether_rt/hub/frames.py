"""WebSocket frames (RFC 6455 section 5): bytes for what the server sends, events for what a client sends. No I/O.

Only what a dashboard's connection needs: the server never fragments, masks or compresses, and no message of a client is kept,
because there is none that it may send.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from enum import Enum, auto
from hashlib import sha1
from typing import Final

PING: Final = b"\x89\x00"
"""A ping without a payload."""

_ACCEPT_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_DATA_OPCODES: Final = (0x0, _TEXT, 0x2)
_MAX_CONTROL_BYTES: Final = 125
_EXTENDED_LENGTH_BYTES: Final = {126: 2, 127: 8}
_MASK_BYTES: Final = 4
_PROTOCOL_ERROR: Final = 1002


def accept_key(key: str) -> str:
    """Return the value of `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key` (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key.encode() + _ACCEPT_SUFFIX, usedforsecurity=False).digest()).decode()


def text_header(size: int) -> bytes:
    """Return the header of a text frame of `size` bytes, with the shortest form of its length."""
    if size < 126:
        return bytes((_FINAL | _TEXT, size))
    if size < 1 << 16:
        return struct.pack("!BBH", _FINAL | _TEXT, 126, size)
    return struct.pack("!BBQ", _FINAL | _TEXT, 127, size)


def text_frame(payload: bytes) -> bytes:
    """Return `payload`, which is UTF-8, as one text frame."""
    return text_header(len(payload)) + payload


def payloads(frames: bytes | memoryview) -> Iterator[bytes]:
    """Yield what is in whole text frames that `text_frame` made."""
    view = memoryview(frames)
    while view:
        size = view[1]
        start = 2 + _EXTENDED_LENGTH_BYTES.get(size, 0)
        end = start + (int.from_bytes(view[2:start]) if start > 2 else size)
        yield bytes(view[start:end])
        view = view[end:]


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping with this payload, which is at most 125 bytes."""
    return bytes((_FINAL | _PONG, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; `reason` is at most 123 bytes of UTF-8."""
    payload = struct.pack("!H", code) + reason.encode()
    return bytes((_FINAL | _CLOSE, len(payload))) + payload


def close_answer(payload: bytes) -> bytes:
    """Return the close frame that answers a client's with this payload: the same code, or 1002 where that may not be sent.

    RFC 6455 section 7.4: 1004 to 1006 and 1015 stand in no frame, 3000 to 4999 are for libraries and applications.
    """
    if not payload:
        return bytes((_FINAL | _CLOSE, 0))
    code = int.from_bytes(payload[:2])
    is_sendable = code in range(3000, 5000) or (code in range(1000, 1015) and code not in (1004, 1005, 1006))
    return close_frame(code if is_sendable else _PROTOCOL_ERROR)


class Received(Enum):
    """What a client's frame means to the server."""

    MESSAGE = auto()
    """A data frame began: a message, or a part of one."""
    PING = auto()
    PONG = auto()
    CLOSE = auto()
    INVALID = auto()
    """A frame that RFC 6455 does not allow. What comes after it is ignored."""


class FrameReader:
    """Reads a client's frames piece by piece. It holds at most one unfinished control frame, and no byte of a message."""

    __slots__ = ("_is_invalid", "_skip_bytes", "_unread")

    def __init__(self) -> None:
        self._unread = b""
        self._skip_bytes = 0
        """How much of a data frame's payload is still to come."""
        self._is_invalid = False

    def feed(self, data: bytes) -> list[tuple[Received, bytes]]:
        """Return what the frames that began (data) or ended (control) in `data` mean, each with a control frame's payload."""
        found: list[tuple[Received, bytes]] = []
        unread = memoryview(self._unread + data)
        while not self._is_invalid:
            skipped = min(self._skip_bytes, len(unread))
            self._skip_bytes -= skipped
            unread = unread[skipped:]
            if len(unread) < 2:
                break
            opcode, size = unread[0] & 0x0F, unread[1] & 0x7F
            if not _is_allowed(unread[0], unread[1]):
                self._is_invalid = True
                found.append((Received.INVALID, b""))
                break
            start = 2 + _EXTENDED_LENGTH_BYTES.get(size, 0) + _MASK_BYTES
            if len(unread) < start + (0 if opcode in _DATA_OPCODES else size):
                break
            if opcode in _DATA_OPCODES:
                self._skip_bytes = int.from_bytes(unread[2 : start - _MASK_BYTES]) if size > 125 else size
                found.append((Received.MESSAGE, b""))
                unread = unread[start:]
            else:
                payload = _unmasked(unread[start : start + size], unread[start - _MASK_BYTES : start])
                found.append((_CONTROL[opcode], payload))
                unread = unread[start + size :]
        self._unread = b"" if self._is_invalid else bytes(unread)
        return found


_CONTROL: Final = {_CLOSE: Received.CLOSE, _PING: Received.PING, _PONG: Received.PONG}


def _is_allowed(first: int, second: int) -> bool:
    """Say if a client's frame may begin with these two bytes (RFC 6455 sections 5.1, 5.2 and 5.5)."""
    opcode = first & 0x0F
    is_short_and_whole = bool(first & _FINAL) and second & 0x7F <= _MAX_CONTROL_BYTES
    is_known = opcode in _DATA_OPCODES or (opcode in _CONTROL and is_short_and_whole)
    return is_known and not first & _RESERVED and bool(second & _MASKED)


def _unmasked(payload: memoryview, mask: memoryview) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
