"""What happens to one call, in this order: contract, duplicate check, rules, recording (now or later), commit.

The order is a promise. A duplicate is found before its recording is touched, and nothing is committed to MongoDB before the
recording is durable, or its address committed with the call: a crash leaves at most a recording without a call, which the next
start removes (`recordings.uploads`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from tether_rt.domain.call import CompletedCall, Recording, external_call_id
from tether_rt.domain.fingerprint import EXTRA, differing_fields
from tether_rt.domain.source import Source
from tether_rt.domain.warnings import recording_warnings
from tether_rt.errors import BadRequest, Fault
from tether_rt.ingest.body_reader import BodyReader, ReadBody
from tether_rt.ingest.deduplication import DuplicateCheck
from tether_rt.ingest.differences import by_name
from tether_rt.ingest.group_commit import MAX_WAITING_CALLS, GroupCommit
from tether_rt.ingest.judging import REQUEST_SCHEMA
from tether_rt.ingest.later_recordings import LaterRecordings
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome
from tether_rt.mongo.calls import call_elements
from tether_rt.mongo.client import new_id
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline

SENT_AGAIN_WAIT_S: Final = 10.0
"""How long a call that is sent again waits for its recording, which is being fetched."""

Body = dict[str, Any]


class Rehearsal(NamedTuple):
    """What would become of a body: `would_create` with the call, `duplicate`, or `would_refuse` with all that is wrong."""

    verdict: Literal["would_create", "duplicate", "would_refuse"]
    call: CompletedCall | None = None
    duplicate: Duplicate | None = None
    faults: tuple[Fault, ...] = ()


class Pipeline:
    """Checks a call, keeps its recording and commits it."""

    def __init__(
        self,
        bodies: BodyReader,
        duplicates: DuplicateCheck,
        recordings: RecordingIntake,
        uploads: Uploads,
        later: LaterRecordings,
        group_commit: GroupCommit,
        stored: Callable[[str, str], Awaitable[Mapping[str, Any] | None]],
        announce: Callable[[Recording], None] = lambda recording: None,
    ) -> None:
        """Take the parts that it uses, and callbacks.

        `stored` reads a call by its organization's id and its own. `announce` is called with a recording once its call is
        durable.
        """
        self._bodies = bodies
        self._duplicates = duplicates
        self._recordings = recordings
        self._uploads = uploads
        self._later = later
        self._group_commit = group_commit
        self._stored = stored
        self._announce = announce
        self._fetching = KeyedSemaphore(MAX_WAITING_CALLS, 1, SENT_AGAIN_WAIT_S)

    async def take(
        self, raw: bytearray, source: Source, deadline: Deadline, call_id: str | None = None, *, later: bool = False
    ) -> Outcome:
        """Return `Created` or `Duplicate` once it is durable.

        `call_id` is the id of a new call that has no `externalCallId`: stored before under that id, it is not stored again.
        `deadline` is how long the request may still wait for MongoDB. With `later`, or if the source is set so, a recording
        that is an address is fetched after the call is stored. Raises `BadRequest` for an error that the vendor can
        correct, `Unavailable` for one that passes by itself.
        """
        read = await self._bodies.read(raw, REQUEST_SCHEMA)
        if (duplicate := await self._stored_before(read, source, deadline)) is not None:
            return duplicate
        call = await self._bodies.judge(read, source)
        own_id = call_id if call_id is not None and call.external_call_id is None else new_id()
        url = self._recordings.url_of(read.recording) if read.recording is not None else None
        is_pending = url is not None and (later or source.settings.recordings == "later")
        recording = sealed_url = None
        async with contextlib.AsyncExitStack() as until_committed:
            if url is not None and is_pending:
                async with deadline:
                    sealed_url = await self._later.admit(url, source.organization_id)
            elif read.recording is not None:
                if url is not None and call.external_call_id is not None:
                    # A vendor that has given up waiting sends the call again: it waits here, and is a duplicate then.
                    await until_committed.enter_async_context(self._fetching.slot(f"{source.id} {call.external_call_id}"))
                    if (duplicate := await self._stored_before(read, source, deadline)) is not None:
                        return duplicate
                is_first = own_id != call_id  # an earlier replay may have stored a recording for the same id
                recording = await self._recordings.take(read.recording, source.organization_id, own_id, is_first=is_first)
            upload = until_committed.enter_context(self._uploads.deciding(recording.key if recording is not None else None))
            if recording is not None:
                odd = recording_warnings(call.duration_s, recording.duration_s, recording.kind, recording.is_playable)
                call = call._replace(warnings=(*call.warnings, *odd))
            elements = call_elements(call, recording, is_pending=is_pending)
            entry = Entry(own_id, call, recording, elements, sealed_url)
            warnings = call.warnings
            del raw, read, call, elements  # perhaps megabytes, which are not needed while the commit is awaited
            outcome = await self._group_commit.submit(entry, deadline.remaining_s)
            if isinstance(outcome, Created):
                upload.keep()
        if recording is not None and isinstance(outcome, Created):
            self._announce(recording)
        if isinstance(outcome, Duplicate):
            return await self._compared(outcome, None, source, deadline)
        if is_pending:
            self._later.wake()
        return outcome._replace(warnings=warnings, is_pending=is_pending)

    async def rehearse(self, raw: bytearray, source: Source, deadline: Deadline) -> Rehearsal:
        """Return what `take` would make of a body; nothing is stored, and the address of a recording is not fetched.

        Raises `Unavailable` when MongoDB, or the disk for a large recording, is away.
        """
        try:
            read = await self._bodies.read(raw, REQUEST_SCHEMA)
            if (duplicate := await self._stored_before(read, source, deadline)) is not None:
                return Rehearsal("duplicate", duplicate=duplicate)
            call = await self._bodies.judge(read, source)
            examined = await self._recordings.examine(read.recording) if read.recording is not None else None
            call_elements(call, None)  # raises `NotStorable`
        except BadRequest as refusal:
            return Rehearsal("would_refuse", faults=refusal.faults)
        if examined is not None:
            audio = examined.audio
            odd = recording_warnings(call.duration_s, examined.duration_s, audio.name, audio.is_playable)
            call = call._replace(warnings=(*call.warnings, *odd))
        return Rehearsal("would_create", call=call)

    async def _stored_before(self, read: ReadBody, source: Source, deadline: Deadline) -> Duplicate | None:
        """Return the call that is stored under the body's `externalCallId`, if one is.

        Raises `BadRequest` for an id that is none, with what else is wrong.
        """
        try:
            external_id = external_call_id(read.body)
        except BadRequest:
            await self._bodies.judge(read, source)
            raise
        if external_id is None:
            return None
        stored = await deadline.wait_for(self._duplicates.find((source.id, external_id)))
        if stored is None:
            return None
        found = Duplicate(stored.call_id, stored.fingerprint, read.fingerprint or "", is_erased=stored.is_erased)
        return await self._compared(found, read.body, source, deadline)

    async def _compared(self, duplicate: Duplicate, body: Body | None, source: Source, deadline: Deadline) -> Duplicate:
        """Return a duplicate with the fields in which its body differs from the one that was stored."""
        if not duplicate.differs:
            return duplicate
        fields = differing_fields(duplicate.stored_fingerprint, duplicate.fingerprint)
        if body is not None and (fields is None or EXTRA in fields):
            async with deadline:
                stored = await self._stored(source.organization_id, duplicate.call_id)
            if stored is not None:
                fields = await asyncio.to_thread(by_name, fields, body, stored)
        return duplicate._replace(fields=tuple(fields or ()))
