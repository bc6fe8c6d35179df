"""What can go wrong for good. Everything that may pass is tried again.

ClientError
├── MissingExternalCallId   (also a ValueError) a retry could store the call twice
├── Refused                 the server will not take this as it is
│   └── Unauthorized        it does not know the key or token, or no longer
└── GaveUp                  no lasting answer came in time
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ClientError(Exception):
    """Base of all errors of this package."""


class MissingExternalCallId(ClientError, ValueError):
    """The call has no `externalCallId`."""

    def __str__(self) -> str:
        return (
            "The call has no externalCallId. It is what makes a retry safe: without it, a call whose answer is lost on the way "
            "would be stored twice. Give each call the id that it has in your own system."
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a call."""

    code: str
    """Stable, such as `missing_field`."""
    field: str | None
    """Its place, such as `transcript[3].role`."""
    error: str
    """A sentence."""


class Refused(ClientError):
    """The server will not take the request as it is; the same one would get the same answer."""

    def __init__(
        self,
        status: int,
        error: str,
        *,
        code: str | None = None,
        field: str | None = None,
        errors: Sequence[Fault] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(status, error)
        self.status = status
        """Of the HTTP answer."""
        self.error = error
        """A sentence: the first fault."""
        self.code = code
        self.field = field
        self.errors = tuple(errors)
        """Everything that is wrong with the call, the first fault too."""
        self.request_id = request_id
        """By which the operator finds the request in the server's log."""

    def __str__(self) -> str:
        sentences = [fault.error for fault in self.errors] or [self.error]
        return f"{self.status}: {'; '.join(sentences)}"


class Unauthorized(Refused):
    """The key or token is not known, has expired, or was revoked. Nothing is lost: go on with another one."""


class GaveUp(ClientError):
    """The server did not take the request for `Retries.give_up_s`. It may have been stored all the same: send it again."""

    def __init__(self, reason: str, after_s: float, answer: Refused | None = None) -> None:
        super().__init__(reason, after_s, answer)
        self.reason = reason
        """Why the last attempt failed."""
        self.after_s = after_s
        self.answer = answer
        """What the server answered to the last attempt; None when there was no answer."""

    def __str__(self) -> str:
        return f"Gave up after {self.after_s:.0f} s: {self.reason}"
