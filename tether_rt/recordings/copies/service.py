"""Copies of recordings that browsers do not play: made when somebody first listens, once over all processes, and kept.

One recording at a time is converted in a process; whoever asks meanwhile is told to ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tether_rt.errors import CopyNotReady, DecoderFailed, NotFound, TetherError, Unavailable
from tether_rt.mongo.client import DriverError
from tether_rt.mongo.documents import CallDocument, CopyDocument, RecordingCopyDocument, RecordingDocument
from tether_rt.mongo.recording_copies import NoCopy, RecordingCopies
from tether_rt.recordings import ffmpeg
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.confined_process import ConfinedProcess, module_command
from tether_rt.recordings.spool import Spool, SpoolWriter
from tether_rt.recordings.store import RecordingStore, recording_key
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

VERSION: Final = 1
"""Of what the converter can do. With a higher one, recordings of which no copy could be made are tried once more."""
CONVERT_S: Final = 600.0
"""How long a converter may run, by the clock: at a low priority, twice what it may take of a core."""
WAIT_S: Final = 8.0
"""How long a request waits for its copy. It is made all the same, and there when the request comes again."""
MAX_WAITING: Final = 32
"""How many recordings may wait to be converted."""
LEASE_S: Final = 30.0
"""After this time another process goes on with what a killed one has begun."""
RETRY_AFTER_S: Final = 300.0
"""How long a recording whose converter failed is not tried again."""

_REASONS: Final = {
    "undecodable": "it could not be decoded",
    "too_long": "it is longer than 6 hours",
    "failed": "decoding it takes more time or memory than it may",
}
"""By outcome."""
_COMMAND: Final = module_command("tether_rt.recordings.copies.convert")
_READ_S: Final = 60.0
"""How long a recording may take on its way from its store."""
_NUMBERS: Final = 10**9
_LOG: Final = logging.getLogger("tether.recordings")


class _Job(NamedTuple):
    organization_id: str
    call_id: str
    recording_id: str
    key: str
    size_bytes: int


class PlayableCopies:
    """Returns the copies of recordings. `run` makes them."""

    def __init__(
        self,
        copies: RecordingCopies,
        recordings: RecordingStore,
        uploads: Uploads,
        spool: Spool,
        metrics: Metrics,
        converter: ConfinedProcess | None = None,
        *,
        is_possible: bool = ffmpeg.IS_INSTALLED,
        wait_s: float = WAIT_S,
        max_waiting: int = MAX_WAITING,
        lease_s: float = LEASE_S,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        """Take `is_possible`: whether what the converter needs is installed."""
        self._copies = copies
        self._recordings = recordings
        self._uploads = uploads
        self._spool = spool
        self._metrics = metrics
        self._converter = converter or ConfinedProcess(_COMMAND, CONVERT_S)
        self._is_possible = is_possible
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self._lease_s = lease_s
        self._retry_after_s = retry_after_s
        # Oldest first, each with the future of its copy.
        self._jobs: dict[_Job, asyncio.Future[CopyDocument | NoCopy]] = {}
        self._arrived = asyncio.Event()

    async def copy(self, call: CallDocument, recording: RecordingDocument, deadline: Deadline) -> CopyDocument:
        """Return the copy of a call's recording.

        `deadline` is for MongoDB. Raises `NotFound` when there can be none, saying why; `Unavailable` while it is being made,
        when too many wait, when the converter failed, and when MongoDB or the store is away; and the driver's errors.
        """
        recording_id = recording["recordingId"]
        for copy in call.get("copies", ()):
            if copy["recordingId"] == recording_id:
                return copy
        kind = recording.get("kind") or recording["contentType"]
        if not self._is_possible:
            raise NotFound(
                f"This recording is {kind}, and this server cannot make a copy that browsers play: its operator has to"
                " install tether-rt[media]. Download the recording, and open it in a media player.",
                code="converter_missing",
            )
        async with deadline:
            made: CopyDocument | NoCopy | None = await self._copies.refusal(recording_id, VERSION)
        if made is None:
            result = self._ask(_Job(call["organizationId"], call["callId"], recording_id, recording["key"], recording["bytes"]))
            await asyncio.wait({result}, timeout=self._wait_s)
            if not result.done():
                raise CopyNotReady()
            made = result.result()
        if isinstance(made, NoCopy):
            raise NotFound(
                f"This recording is {kind}, and there is no copy of it that browsers play: {_REASONS[made.outcome]}."
                " Download the recording, and open it in a media player.",
                code="no_copy",
            )
        return made

    async def run(self) -> None:
        """Make the copies that were asked for, one at a time."""
        while True:
            while not self._jobs:
                self._arrived.clear()
                await self._arrived.wait()
            job, result = next(iter(self._jobs.items()))
            try:
                result.set_result(await self._make(job))
            except (TetherError, DriverError) as error:
                if not isinstance(error, CopyNotReady):
                    log(_LOG, logging.WARNING, "copy_not_made", recordingId=job.recording_id, reason=str(error))
                result.set_exception(error)
                result.exception()  # marks it as retrieved: who asked may have left
            finally:
                del self._jobs[job]
                if not result.done():
                    result.set_exception(CopyNotReady())

    def _ask(self, job: _Job) -> asyncio.Future[CopyDocument | NoCopy]:
        result = self._jobs.get(job)
        if result is None:
            if len(self._jobs) >= self._max_waiting:
                raise Unavailable("Too many recordings are being converted; ask again shortly.", 10, limit="copies")
            result = self._jobs[job] = asyncio.get_running_loop().create_future()
            self._arrived.set()
        return result

    async def _make(self, job: _Job) -> CopyDocument | NoCopy:
        async with Deadline():
            claimed, is_held = await self._copies.claim(job.recording_id, self._lease_s)
            # Another process may have been done a moment ago.
            copy = await self._copies.find(job.organization_id, job.call_id, job.recording_id)
            made = copy or await self._copies.refusal(job.recording_id, VERSION)
        if not is_held:
            if made is not None:
                return made
            if "holder" in claimed:
                raise CopyNotReady()
            raise Unavailable("The recording could not be decoded just now; ask again later.", math.ceil(self._retry_after_s))
        end = self._copies.give_back
        try:
            if made is None:
                async with self._renewing(claimed):
                    made = await self._convert(job)
            if isinstance(made, NoCopy):
                end = partial(self._copies.refuse, outcome=made.outcome, version=VERSION)
            else:
                end = self._copies.done
            return made
        except DecoderFailed:
            labelled(self._metrics.recording_copies, "failed").inc()
            end = partial(self._copies.put_off, wait_s=self._retry_after_s, version=VERSION)
            raise
        finally:
            await self._end(end(claimed))

    async def _convert(self, job: _Job) -> CopyDocument | NoCopy:
        async with self._spool.writing() as original, self._spool.writing() as target:
            source = await self._read(job, original)
            path = await self._spool.run(target.create)
            outcome = (await self._converter.output(source, path)).decode()
            labelled(self._metrics.recording_copies, outcome).inc()
            if outcome != "made":
                return NoCopy(outcome)
            copy: CopyDocument = {
                "recordingId": job.recording_id,
                "key": recording_key(job.organization_id, job.call_id, MP3, secrets.randbelow(_NUMBERS)),
                "contentType": MP3.content_type,
                "bytes": (await self._spool.run(path.stat)).st_size,
            }
            await self._uploads.put(copy["key"], path, copy["contentType"])
        with self._uploads.deciding(copy["key"]) as upload:
            async with Deadline():
                if await self._copies.store(job.organization_id, job.call_id, copy):
                    upload.keep()
        if not upload.is_kept:
            raise NotFound("There is no such call.")
        return copy

    async def _read(self, job: _Job, writer: SpoolWriter) -> Path:
        try:
            async with asyncio.timeout(_READ_S):
                async with contextlib.aclosing(self._recordings.read(job.key, 0, job.size_bytes)) as pieces:
                    async for piece in pieces:
                        await self._spool.run(writer.write, piece)
                return (await self._spool.run(writer.finish)).path
        except ValueError as error:
            raise NotFound("The recording is empty.") from error
        except TimeoutError as error:
            raise Unavailable("The recording store did not answer in time; ask again shortly.", 10) from error

    @contextlib.asynccontextmanager
    async def _renewing(self, claimed: RecordingCopyDocument) -> AsyncIterator[None]:
        """Hold a claim while the block runs."""
        renewing = asyncio.create_task(self._renew(claimed))
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, claimed: RecordingCopyDocument) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await self._end(self._copies.renew(claimed, self._lease_s))

    async def _end(self, work: Coroutine[Any, Any, None]) -> None:
        """Write to a claim; where that fails it ends by itself."""
        try:
            async with Deadline():
                await work
        except (TetherError, DriverError) as error:
            log(_LOG, logging.WARNING, "claim_not_given_back", reason=str(error))
