"""Why a recording could not be fetched, and whether it may get better. Pure."""

from __future__ import annotations

from typing import Final

from tether_rt.errors import Code, FetchFailed, Unavailable

RETRY_AFTER_S: Final = 30
"""What a vendor is asked to wait for a host that passes no time of its own."""
_LONGEST_RETRY_AFTER_S: Final = 3600
_PASSING: Final = frozenset({408, 425, 429})
_UNAVAILABLE: Final = 503


def failed(reason: str, code: Code = "recording_not_fetched", *, may_get_better: bool = False) -> FetchFailed:
    """Return a failure that the vendor's request is answered 400 for."""
    return FetchFailed(f"recording could not be fetched: {reason}", code, may_get_better=may_get_better)


def passing(reason: str, retry_after_s: int | None = None) -> FetchFailed:
    """Return a failure that passes by itself: the vendor's request is answered 503 for it."""
    sentence = f"recording could not be fetched: {reason}"
    return FetchFailed(sentence, "recording_unavailable", may_get_better=True, status=_UNAVAILABLE, retry_after_s=retry_after_s)


def of_status(status: int, retry_after: str = "") -> FetchFailed:
    """Return the failure of an answer with another status than 200; `retry_after` is its header of that name."""
    reason = f"its host answered {status}"
    if status in _PASSING or 500 <= status < 600:
        # RFC 9110 section 10.2.3: seconds, or a date, which is not read.
        asked = int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else 0
        return passing(reason, min(asked, _LONGEST_RETRY_AFTER_S) or None)
    if status == 404:
        return failed(reason, "recording_not_found", may_get_better=True)
    if status == 410:
        return failed(reason, "recording_gone")
    if status in (401, 403):
        # Stores of files answer 403 for a file that is not there yet, if the reader may not list the folder.
        return failed(reason, "recording_forbidden", may_get_better=status == 403)
    return failed(reason)


def broke_off() -> FetchFailed:
    """Return the failure of a host that closed the connection too soon."""
    return passing("its host broke off before the end")


def not_http() -> FetchFailed:
    """Return the failure of a host whose answer h11 does not read."""
    return failed("its host's answer is not HTTP")


def not_in_time() -> FetchFailed:
    """Return the failure of a host that does not connect or answer. It is no 503, and so not sent again and again."""
    return failed("its host did not answer in time", may_get_better=True)


def too_slow() -> FetchFailed:
    """Return the failure of a host that sends less than `Limits.window_bytes`."""
    return failed("its host sends it too slowly", may_get_better=True)


def gave_way() -> Unavailable:
    """Return the failure of a slow host whose slot another organization waits for. It is no attempt that counts."""
    sentence = "recording could not be fetched yet: its host is slow, and others wait; send the call again shortly."
    return Unavailable(sentence, 5, limit="fetches", field="recording")


def too_large(max_bytes: int) -> FetchFailed:
    """Return the failure of a recording past the limit."""
    return FetchFailed(f"recording is larger than {max_bytes >> 20} MB", "recording_too_large", may_get_better=False)
