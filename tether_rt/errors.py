"""Every failure that tether_rt names, as one tree.

Each class carries the HTTP status it is answered with; `http.responses` is the one place that turns an error into the one JSON
shape `{"success": false, "error": "<one plain sentence>"}`.

    TetherError                 500
    ├── ConfigError             the start is refused (exit status 2)
    ├── BadRequest              400  the caller can mend the request
    │   └── NotStorable         400  MongoDB cannot hold the call
    ├── Unauthorized            401  no credential, or one that does not hold
    ├── Forbidden               403  a request from a page of another site
    ├── NotFound                404  no such thing for this caller
    ├── MethodNotAllowed        405  the address does not take this method
    ├── BodyTooSlow             408  the body trickles in
    ├── TooLarge                413  the body is past the limit
    ├── UnsupportedMedia        415  not JSON, or compressed
    ├── RangeNotSatisfiable     416  bytes that a recording does not have
    ├── UpgradeRequired         426  the address speaks WebSocket
    ├── TooManyRequests         429  past a rate limit; carries `retry_after_s`
    ├── ReaderTooSlow           499  the client does not read its answer; logged, never sent
    └── Unavailable             503  overloaded, or a dependency is away; carries `retry_after_s`
        └── WriteConflict       503  another transaction was first; nothing was written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType


class TetherError(Exception):
    """The root. `str(error)` is one plain sentence that may be shown to the caller."""

    status = 500
    retry_after_s: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    """What the answer carries beside the sentence."""
    limit: str | None = None
    """The limit that was met, as the metric of refusals names it."""


class ConfigError(TetherError):
    """A setting is missing or wrong; the sentence says how to mend it."""


class BadRequest(TetherError):
    """The request breaks the contract; the sentence names the field and what to change."""

    status = 400


class NotStorable(BadRequest):
    """MongoDB refuses a document for what it holds; nothing was written."""

    def __init__(self) -> None:
        super().__init__("The call holds more than the database can store: shorten its transcript or metadata")


class Unauthorized(TetherError):
    """There is no credential, or it does not hold (RFC 9110 section 15.5.2)."""

    status = 401


class Forbidden(TetherError):
    """A cookie came with the request of another site's page."""

    status = 403


class NotFound(TetherError):
    """Nothing under that address or id for this caller."""

    status = 404


class MethodNotAllowed(TetherError):
    """The address does not take this method (RFC 9110 section 15.5.6)."""

    status = 405

    def __init__(self, sentence: str, methods: Sequence[str]) -> None:
        super().__init__(sentence)
        self.headers = {"Allow": ", ".join(methods)}


class BodyTooSlow(TetherError):
    """The body makes too little progress (RFC 9110 section 15.5.9)."""

    status = 408


class TooLarge(TetherError):
    """The body is past the limit."""

    status = 413


class UnsupportedMedia(TetherError):
    """The body is not uncompressed JSON."""

    status = 415


class RangeNotSatisfiable(TetherError):
    """None of the bytes asked for are there (RFC 9110 section 15.5.17)."""

    status = 416

    def __init__(self, sentence: str, size_bytes: int) -> None:
        super().__init__(sentence)
        self.headers = {"Content-Range": f"bytes */{size_bytes}"}


class UpgradeRequired(TetherError):
    """The request does not ask for a WebSocket (RFC 9110 section 15.5.22)."""

    status = 426
    headers = MappingProxyType({"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})


class ReaderTooSlow(TetherError):
    """The client does not read the answer that is being sent. Logged, never sent: the connection is cut."""

    status = 499


class TooManyRequests(TetherError):
    """Past a rate limit."""

    status = 429

    def __init__(self, sentence: str, retry_after_s: int = 1, *, limit: str | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s
        self.limit = limit


class Unavailable(TetherError):
    """Overloaded, or MongoDB or the recording store is away; the same request may succeed later."""

    status = 503

    def __init__(self, sentence: str, retry_after_s: int = 2, *, limit: str | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s
        self.limit = limit


class WriteConflict(Unavailable):
    """Another transaction holds what a batch must write, or changed what the batch was planned on; nothing was written."""

    def __init__(self) -> None:
        super().__init__("The server is busy with other calls; send this one again shortly.", 1)
