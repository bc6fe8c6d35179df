"""Every failure that tether_rt names, as one tree.

Each class carries the HTTP status it is answered with and the code of its kind; `http.responses` is the one place that turns
an error into the one JSON shape `{"success": false, "error": "<one plain sentence>", "code", "requestId"}`, to which a
`BadRequest` adds `field` and `errors`.

    TetherError                 500
    ├── ConfigError             the start is refused (exit status 2)
    ├── BadRequest              400  the caller can mend the request
    │   └── NotStorable         400  MongoDB cannot hold the call
    ├── Unauthorized            401  no credential, or one that does not hold
    ├── Forbidden               403  a role or a read token that may not do this, or a page of another site
    ├── NotFound                404  no such thing for this caller
    ├── MethodNotAllowed        405  the address does not take this method
    ├── BodyTooSlow             408  the body trickles in
    ├── TooLarge                413  the body is past the limit
    ├── UnsupportedMedia        415  not JSON, or compressed
    ├── RangeNotSatisfiable     416  bytes that a recording does not have
    ├── UpgradeRequired         426  the address speaks WebSocket
    ├── TooManyRequests         429  past a rate limit; carries `retry_after_s`
    ├── FetchFailed       400 or 503  an address gave no recording; says whether another attempt may help
    ├── ReaderTooSlow           499  the client does not read its answer; logged, never sent
    └── Unavailable             503  overloaded, or a dependency is away; carries `retry_after_s`
        ├── CopyNotReady        503  a copy of a recording is being made
        ├── DecoderFailed       503  a decoder was killed, crashed or took too long
        └── WriteConflict       503  another transaction was first; nothing was written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

Code = Literal[
    # of the request as a whole
    "bad_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "unknown_path",
    "method_not_allowed",
    "body_too_slow",
    "too_large",
    "unsupported_media",
    "range_not_satisfiable",
    "upgrade_required",
    "too_many_requests",
    "internal_error",
    "unavailable",
    "use_validate",
    "nothing_to_retry",
    "taken",
    "copy_not_ready",
    "no_copy",
    "converter_missing",
    "weak_password",
    "wrong_password",
    "link_not_valid",
    "last_admin",
    # of the text of a body
    "empty_body",
    "not_json",
    "not_utf8",
    "too_many_values",
    "too_deep",
    # of one of its fields
    "missing_field",
    "unknown_field",
    "null_value",
    "wrong_type",
    "unknown_value",
    "wrong_format",
    "out_of_range",
    "empty_value",
    "too_long",
    "not_e164",
    "national_number",
    "short_number",
    "withheld_number",
    "not_storable",
    "bad_recording",
    "recording_not_audio",
    "recording_without_sound",
    "recording_address_refused",
    "recording_not_found",
    "recording_gone",
    "recording_forbidden",
    "recording_too_large",
    "recording_not_fetched",
    "recording_unavailable",
]
"""Every code of an error; programs compare them, so none changes. `docs/errors.md` says of each what to change, and
`schemas/openapi.yaml` lists them in this order."""


class Fault(NamedTuple):
    """One thing that is wrong with a request; `field` is its place, such as `transcript[3].role`, None for the whole."""

    code: Code
    field: str | None
    error: str


class TetherError(Exception):
    """The root. `str(error)` is one plain sentence that may be shown to the caller."""

    status = 500
    code: Code = "internal_error"
    field: str | None = None
    """The place of what is wrong, if it has one."""
    retry_after_s: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    """What the answer carries beside the sentence."""
    limit: str | None = None
    """The limit that was met, as the metric of refusals names it."""

    def __init__(self, sentence: str, *, code: Code | None = None, field: str | None = None) -> None:
        super().__init__(sentence)
        if code is not None:
            self.code = code
        if field is not None:
            self.field = field


class ConfigError(TetherError):
    """A setting is missing or wrong; the sentence says how to mend it."""


class BadRequest(TetherError):
    """The request breaks the contract; the sentence names the field and what to change."""

    status = 400
    code = "bad_request"

    def __init__(
        self, sentence: str, *, code: Code | None = None, field: str | None = None, faults: tuple[Fault, ...] = ()
    ) -> None:
        super().__init__(sentence, code=code, field=field)
        self.faults = faults or (Fault(self.code, self.field, sentence),)
        """Everything that is wrong, the first one's code, field and sentence being the error's own."""

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> BadRequest:
        """Return the refusal of a request with these faults, of which there is at least one."""
        code, field, sentence = faults[0]
        return cls(sentence, code=code, field=field, faults=tuple(faults))


class NotStorable(BadRequest):
    """MongoDB refuses a document for what it holds; nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "The call holds more than the database can store: shorten its transcript or metadata", code="not_storable"
        )


class Unauthorized(TetherError):
    """There is no credential, or it does not hold (RFC 9110 section 15.5.2)."""

    status = 401
    code = "unauthorized"


class Forbidden(TetherError):
    """The role or the read token may not do this, a link does not hold, or a page of another site sent the cookie."""

    status = 403
    code = "forbidden"


class NotFound(TetherError):
    """Nothing under that address or id for this caller."""

    status = 404
    code = "not_found"


class MethodNotAllowed(TetherError):
    """The address does not take this method (RFC 9110 section 15.5.6)."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, sentence: str, methods: Sequence[str]) -> None:
        super().__init__(sentence)
        self.headers = {"Allow": ", ".join(methods)}


class BodyTooSlow(TetherError):
    """The body makes too little progress (RFC 9110 section 15.5.9)."""

    status = 408
    code = "body_too_slow"


class TooLarge(TetherError):
    """The body is past the limit."""

    status = 413
    code = "too_large"


class UnsupportedMedia(TetherError):
    """The body is not uncompressed JSON."""

    status = 415
    code = "unsupported_media"


class RangeNotSatisfiable(TetherError):
    """None of the bytes asked for are there (RFC 9110 section 15.5.17)."""

    status = 416
    code = "range_not_satisfiable"

    def __init__(self, sentence: str, size_bytes: int) -> None:
        super().__init__(sentence)
        self.headers = {"Content-Range": f"bytes */{size_bytes}"}


class UpgradeRequired(TetherError):
    """The request does not ask for a WebSocket (RFC 9110 section 15.5.22)."""

    status = 426
    code = "upgrade_required"
    headers = MappingProxyType({"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})


class ReaderTooSlow(TetherError):
    """The client does not read the answer that is being sent. Logged, never sent: the connection is cut."""

    status = 499


class TooManyRequests(TetherError):
    """Past a rate limit."""

    status = 429
    code = "too_many_requests"

    def __init__(
        self,
        sentence: str,
        retry_after_s: int = 1,
        *,
        limit: str | None = None,
        code: Code | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(sentence, code=code, field=field)
        self.retry_after_s = retry_after_s
        self.limit = limit


class Unavailable(TetherError):
    """Overloaded, or MongoDB or the recording store is away; the same request may succeed later."""

    status = 503
    code = "unavailable"

    def __init__(
        self,
        sentence: str,
        retry_after_s: int = 2,
        *,
        limit: str | None = None,
        code: Code | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(sentence, code=code, field=field)
        self.retry_after_s = retry_after_s
        self.limit = limit


class CopyNotReady(Unavailable):
    """A copy of a recording that browsers play is being made, here or by another process."""

    def __init__(self) -> None:
        super().__init__("A copy that browsers play is being made; ask again shortly.", code="copy_not_ready")


class DecoderFailed(Unavailable):
    """A process that decodes a recording was killed, crashed or took too long."""


class FetchFailed(TetherError):
    """One attempt to fetch a recording from its address failed, for a reason that lies with the address or its host.

    `str(error)` and `code` are for the vendor. `may_get_better`: whether a later attempt may succeed (404, a host that is away;
    not 410, a private address, a certificate). `status` is what a request is answered that does not wait for one: 503 for what
    passes by itself, 400 else. `retry_after_s` is what the host asked for, None if it did not.
    """

    field = "recording"

    def __init__(
        self, sentence: str, code: Code, *, may_get_better: bool, status: int = 400, retry_after_s: int | None = None
    ) -> None:
        super().__init__(sentence, code=code)
        self.may_get_better = may_get_better
        self.status = status
        self.retry_after_s = retry_after_s

    def answer(self, retry_after_s: int) -> BadRequest | Unavailable:
        """Return what the request is answered; `retry_after_s` where the host asked for no time of its own."""
        if self.status == BadRequest.status:
            return BadRequest(str(self), code=self.code, field=self.field)
        return Unavailable(str(self), self.retry_after_s or retry_after_s, code=self.code, field=self.field)


class WriteConflict(Unavailable):
    """Another transaction holds what a batch must write, or changed what the batch was planned on; nothing was written."""

    def __init__(self) -> None:
        super().__init__("The server is busy with other calls; send this one again shortly.", 1)
