"""What happens to one call, in this order: contract, duplicate check, rules, recording, commit.

The order is a promise. A duplicate is found before its recording is touched, and nothing is committed to MongoDB before the
recording is durable: a crash leaves at most a recording without a call, under the key that the retry will use again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from tether_rt.domain.call import Recording, completed_call, external_call_id
from tether_rt.domain.source import Source
from tether_rt.ingest.body_reader import BodyReader
from tether_rt.ingest.deduplication import DuplicateCheck
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome
from tether_rt.mongo.calls import call_elements
from tether_rt.mongo.client import new_id
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.runtime.deadlines import Deadline

REQUEST_SCHEMA: Final = "CallsIngestExternalCallRequest"


class Pipeline:
    """Checks a call, keeps its recording and commits it."""

    def __init__(
        self,
        bodies: BodyReader,
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
        self._bodies = bodies
        self._duplicates = duplicates
        self._recordings = recordings
        self._group_commit = group_commit
        self._announce = announce
        self._words_at_once = words_at_once

    async def take(self, raw: bytearray, source: Source, deadline: Deadline, call_id: str | None = None) -> Outcome:
        """Return `Created` or `Duplicate` once it is durable.

        `call_id` is the id of a new call that has no `externalCallId`: stored before under that id, it is not stored again.
        `deadline` is how long the request may still wait for MongoDB. Raises `BadRequest` for an error that the vendor can
        correct, `Unavailable` for one that passes by itself.
        """
        read = await self._bodies.read(raw, REQUEST_SCHEMA)
        body = read.body
        if (external_id := external_call_id(body)) is not None:
            stored = await deadline.wait_for(self._duplicates.find((source.id, external_id)))
            if stored is not None:
                return Duplicate(stored.call_id, differs=stored.fingerprint != read.fingerprint)
        await self._bodies.require_storable(read)
        call = completed_call(body, source, now=datetime.now(UTC), fingerprint=read.fingerprint or "")
        recording = None
        if read.recording is not None:
            recording = await self._recordings.take(read.recording, source.organization_id)
        is_indexed = not read.is_large and self._words_at_once()
        own_id = call_id if call_id is not None and external_id is None else new_id()
        entry = Entry(own_id, call, recording, call_elements(call, recording, is_indexed=is_indexed), is_indexed)
        del raw, read, body  # perhaps megabytes, which are not needed while the commit is awaited
        outcome = await self._group_commit.submit(entry, deadline.remaining_s)
        if recording is not None and isinstance(outcome, Created):
            self._announce(recording)
        return outcome
