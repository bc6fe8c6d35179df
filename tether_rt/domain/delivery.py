"""A delivery: something that a vendor sent, what became of it, and each time that it was tried. No I/O.

One that is refused the same way again (the same source, code, field and body) is the same delivery, tried once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

from tether_rt.errors import BadRequest, Fault, TetherError

Verdict = Literal["created", "merged", "duplicate", "waiting", "ignored", "dead", "refused"]
"""What became of a delivery: it made a call, changed one, brought nothing new, waits for its other parts, is of no interest,
can never be a call, or was refused at the door."""
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
FAILED: Final[tuple[Verdict, ...]] = ("refused", "dead")
"""What is replayed unless a filter says otherwise."""
SETTLED: Final[tuple[Verdict, ...]] = ("created", "merged")
"""What a later replay, which brings nothing new, leaves as it is."""

Kind = Literal["ingest", "amend", "webhook"]
"""Which request it was: `POST` or `PATCH` of `/api/calls/ingest`, or a vendor's webhook."""

KEPT_FOR: Final = timedelta(days=7)
DEAD_KEPT_FOR: Final = timedelta(days=30)
MAX_REFUSED: Final = 1_000
"""Refused deliveries that are kept of a source; the oldest ones go first."""
MAX_REFUSED_BYTES: Final = 256 * 1024 * 1024
"""The same, by the size of their bodies."""
MAX_ATTEMPTS: Final = 20
"""Attempts that are shown of a delivery, the newest ones; `times` counts them all."""
MAX_ERROR_CHARS: Final = 500
MAX_FAULTS: Final = 100
"""Faults of a refusal that are kept, each with a sentence of `MAX_ERROR_CHARS`."""

SENDER: Final = "sender"
"""Who made an attempt that was no replay; a replay has the id of its user, or `COMMAND`."""
COMMAND: Final = "command"


class Result(NamedTuple):
    """What became of one attempt; `code`, `field` and `error` are those of the first of its faults."""

    verdict: Verdict
    code: str | None = None
    field: str | None = None
    error: str | None = None
    call_id: str | None = None
    faults: tuple[Fault, ...] = ()


def refusal_of(error: TetherError) -> Result:
    """Return what became of an attempt that was refused with this error."""
    faults = error.faults[:MAX_FAULTS] if isinstance(error, BadRequest) else ()
    kept = tuple(fault._replace(error=fault.error[:MAX_ERROR_CHARS]) for fault in faults)
    return Result("refused", error.code, error.field, str(error)[:MAX_ERROR_CHARS], faults=kept)


def expires_at(at: datetime, verdict: Verdict) -> datetime:
    """Return until when a delivery that came at `at` is kept."""
    return at + (DEAD_KEPT_FOR if verdict == "dead" else KEPT_FOR)
