"""A vendor's body: parsed, checked, and judged for what MongoDB cannot hold; a large one in threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from tether_rt.domain.call import CompletedCall
from tether_rt.domain.contract import Contract
from tether_rt.domain.fingerprint import fingerprint
from tether_rt.domain.source import Source
from tether_rt.http.json_body import has_more_values, read
from tether_rt.ingest.judging import Rules, judge, judge_amendment, require_valid, rules_of_calls
from tether_rt.recordings.embedded_recording import LargeText, lift_recording

_IN_THREAD_BYTES: Final = 128 * 1024
_IN_THREAD_VALUES: Final = 10_000
"""A body of this size or with so many values is parsed and checked in a thread; for a smaller one, that would cost more than it
saves. A transcript of 128 KB takes 0.3 ms, as many bytes of empty lists 20 ms."""
_SURELY_FEW_BYTES: Final = 32 * 1024
"""A smaller body cannot have so many values that it would matter, and counting them takes as long as parsing."""
_LARGE_AT_ONCE: Final = max(2, min(4, os.cpu_count() or 2))
"""How many bodies are parsed in threads at a time: more would delay the event loop and be done no sooner."""
_LIFT_BYTES: Final = 256 * 1024


_P = ParamSpec("_P")
_T = TypeVar("_T")


class ReadBody(NamedTuple):
    """A body that satisfies its schema."""

    body: dict[str, Any]
    text: bytes | bytearray
    """What was parsed: the body as sent, or what is left of it beside a large recording."""
    recording: str | LargeText | None
    fingerprint: str | None
    is_large: bool
    """Whether work that goes over all of it is to be done in a thread."""

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what `work`, which goes over all of the body, returns."""
        return await asyncio.to_thread(work, *args, **kwargs) if self.is_large else work(*args, **kwargs)


class BodyReader:
    """Reads bodies; one for the process."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._turns = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def read(self, raw: bytearray, schema: str, rules: Rules = rules_of_calls) -> ReadBody:
        """Return the body that `raw` is; raises `BadRequest` with all that is wrong with one that is no JSON or not valid.

        Of a body that does not satisfy the schema, `rules` find what else is wrong.
        """
        is_large = len(raw) >= _IN_THREAD_BYTES or (len(raw) >= _SURELY_FEW_BYTES and has_more_values(raw, _IN_THREAD_VALUES))
        if not is_large:
            return self._read(raw, schema, rules, is_large)
        async with self._turns:
            return await asyncio.to_thread(self._read, raw, schema, rules, is_large)

    async def judge(self, read: ReadBody, source: Source) -> CompletedCall:
        """Return the call that a body makes; raises `BadRequest` with every rule that it breaks (`judging`)."""
        return await read.run(judge, self._contract, read.body, read.text, read.fingerprint or "", source, datetime.now(UTC))

    async def judge_amendment(self, read: ReadBody, stored: dict[str, Any], source: Source) -> CompletedCall:
        """Return what a stored call would be with this change; raises `BadRequest` with every rule that it breaks."""
        return await read.run(judge_amendment, self._contract, read.body, read.text, stored, source, datetime.now(UTC))

    def _read(self, raw: bytearray, schema: str, rules: Rules, is_large: bool) -> ReadBody:
        lifted = lift_recording(raw, _LIFT_BYTES) if len(raw) > _LIFT_BYTES else None
        if lifted is not None:
            rest, placeholder, recording = lifted
            body, text = read(rest)
            if isinstance(body, dict) and body.get("recording") == placeholder:
                require_valid(self._contract, schema, body, text, rules)
                return ReadBody(body, text, recording, fingerprint(body, recording.pieces()), is_large)
        body, text = read(raw)
        require_valid(self._contract, schema, body, text, rules)
        return ReadBody(body, text, body.get("recording"), fingerprint(body), is_large)
