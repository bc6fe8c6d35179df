"""What happens to one call, in this order: contract, duplicate check, rules, recording, commit.

The order is a promise. A duplicate is found before its recording is touched, and nothing is committed to MongoDB before the
recording is durable: a crash leaves at most a recording without a call, under the key that the retry will use again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tether_rt.domain.call import Recording, completed_call, external_call_id
from tether_rt.domain.contract import Contract
from tether_rt.domain.source import Source
from tether_rt.http.json_body import has_more_values, parse
from tether_rt.ingest.deduplication import DuplicateCheck
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.ingest.storable import fingerprint, require_storable
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome
from tether_rt.mongo.calls import call_elements
from tether_rt.mongo.client import new_id
from tether_rt.recordings.embedded_recording import LargeText, lift_recording
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.runtime.deadlines import Deadline

REQUEST_SCHEMA: Final = "CallsIngestExternalCallRequest"
_IN_THREAD_BYTES: Final = 128 * 1024
_IN_THREAD_VALUES: Final = 10_000
"""A body of this size or with so many values is parsed and checked in a thread; for a smaller one, that would cost more than it
saves. A transcript of 128 KB takes 0.3 ms, as many bytes of empty lists 20 ms."""
_SURELY_FEW_BYTES: Final = 32 * 1024
"""A smaller body cannot have so many values that it would matter, and counting them takes as long as parsing."""
_LARGE_AT_ONCE: Final = max(2, min(4, os.cpu_count() or 2))
"""How many bodies are parsed in threads at a time: more would delay the event loop and be done no sooner."""
_LIFT_BYTES: Final = 256 * 1024


class _Parsed(NamedTuple):
    body: dict[str, Any]
    text: bytes | bytearray
    """What was parsed: the body as sent, or what is left of it beside a large recording."""
    recording: str | LargeText | None
    fingerprint: str | None


class Pipeline:
    """Checks a call, keeps its recording and commits it."""

    def __init__(
        self,
        contract: Contract,
        duplicates: DuplicateCheck,
        recordings: RecordingIntake,
        group_commit: GroupCommit,
        announce: Callable[[Recording], None] = lambda recording: None,
        words_at_once: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the parts that it uses, and callbacks.

        `announce` is called with a recording once its call is durable. `words_at_once` returns True if a call's words are to be
        indexed with it, and not later.
        """
        self._contract = contract
        self._duplicates = duplicates
        self._recordings = recordings
        self._group_commit = group_commit
        self._announce = announce
        self._words_at_once = words_at_once
        self._turns = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def take(self, raw: bytearray, source: Source, deadline: Deadline) -> Outcome:
        """Return `Created` or `Duplicate` once it is durable.

        `deadline` is how long the request may still wait for MongoDB. Raises `BadRequest` for an error that the vendor can
        correct, `Unavailable` for one that passes by itself.
        """
        large = len(raw) >= _IN_THREAD_BYTES or (len(raw) >= _SURELY_FEW_BYTES and has_more_values(raw, _IN_THREAD_VALUES))
        parsed = await self._parse_large(raw) if large else self._parse(raw)
        body = parsed.body
        if (external_id := external_call_id(body)) is not None:
            stored = await deadline.wait_for(self._duplicates.find((source.id, external_id)))
            if stored is not None:
                return Duplicate(stored.call_id, differs=stored.fingerprint != parsed.fingerprint)
        if large:
            await asyncio.to_thread(require_storable, body, parsed.text)
        else:
            require_storable(body, parsed.text)
        call = completed_call(body, source, now=datetime.now(UTC), fingerprint=parsed.fingerprint or "")
        recording = None
        if parsed.recording is not None:
            recording = await self._recordings.take(parsed.recording, source.organization_id)
        is_indexed = not large and self._words_at_once()
        entry = Entry(new_id(), call, recording, call_elements(call, recording, is_indexed=is_indexed), is_indexed)
        del raw, parsed, body  # perhaps megabytes, which are not needed while the commit is awaited
        outcome = await self._group_commit.submit(entry, deadline.remaining_s)
        if recording is not None and isinstance(outcome, Created):
            self._announce(recording)
        return outcome

    async def _parse_large(self, raw: bytearray) -> _Parsed:
        async with self._turns:
            return await asyncio.to_thread(self._parse, raw)

    def _parse(self, raw: bytearray) -> _Parsed:
        lifted = lift_recording(raw, _LIFT_BYTES) if len(raw) > _LIFT_BYTES else None
        if lifted is not None:
            rest, placeholder, recording = lifted
            body = parse(rest)
            if isinstance(body, dict) and body.get("recording") == placeholder:
                self._contract.check(REQUEST_SCHEMA, body)
                return _Parsed(body, rest, recording, fingerprint(body, recording))
        body = parse(raw)
        self._contract.check(REQUEST_SCHEMA, body)
        return _Parsed(body, raw, body.get("recording"), fingerprint(body))
