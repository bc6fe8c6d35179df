"""Waveforms of recordings: made once, ahead of time for long recordings, and stored for good.

A recording is copied from its store into a spool file and decoded in a process of its own, one recording at a time: decoding
takes 2 ms of a core for a second of audio, and nobody waits for more than one waveform. A recording that cannot be decoded is
stored as such; one whose decoder was killed is tried again when somebody asks later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from typing import Final, NamedTuple

from tether_rt.domain.call import Recording
from tether_rt.domain.peaks import Peaks
from tether_rt.errors import DecoderFailed, NotFound, TetherError, Unavailable
from tether_rt.mongo.client import DriverError
from tether_rt.mongo.documents import RecordingDocument
from tether_rt.mongo.waveforms import Waveforms
from tether_rt.recordings.confined_process import ConfinedProcess, module_command
from tether_rt.recordings.spool import Spool, SpoolWriter
from tether_rt.recordings.store import RecordingStore
from tether_rt.recordings.waveform import decode
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log

WAIT_S: Final = 30.0
"""How long a request waits for its waveform. It is made all the same, and there when the request comes again."""
MAX_WAITING: Final = 32
"""How many recordings that somebody asked for may wait."""
MAX_AHEAD: Final = 100
"""How many long recordings may wait to be decoded ahead of time; further ones are decoded when somebody asks."""
RETRY_AFTER_S: Final = 300.0
"""How long a recording whose decoder failed is not tried again: it would take the others' turn."""

DECODE_S: Final = 2.0 * decode.CPU_S
"""How long a decoder may run, by the clock. It runs at a low priority, so a busy machine makes it wait."""
_COMMAND: Final = module_command(decode.__name__)
_AHEAD_FROM_S: Final = 120.0
"""A shorter recording takes a moment when its call is opened."""
_COPY_S: Final = 60.0
"""How long a recording may take on its way from its store."""
_MAX_FAILURES: Final = 1000
"""How many failures are remembered."""
_LOG: Final = logging.getLogger("tether.recordings")


class _Job(NamedTuple):
    recording_id: str
    key: str
    size_bytes: int


class WaveformService:
    """Returns the peaks of recordings. `run` makes them, one recording at a time."""

    def __init__(
        self,
        waveforms: Waveforms,
        recordings: RecordingStore,
        spool: Spool,
        decoder: ConfinedProcess | None = None,
        *,
        wait_s: float = WAIT_S,
        max_waiting: int = MAX_WAITING,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        self._waveforms = waveforms
        self._recordings = recordings
        self._spool = spool
        self._decoder = decoder or ConfinedProcess(_COMMAND, DECODE_S)
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self._retry_after_s = retry_after_s
        # Recordings that somebody asked for and waits for, oldest first, each with the future of its peaks.
        self._asked: dict[_Job, asyncio.Future[Peaks | None]] = {}
        self._ahead: asyncio.Queue[_Job] = asyncio.Queue(MAX_AHEAD)
        self._arrived = asyncio.Event()
        # recording id -> when it may be tried again, in monotonic seconds
        self._failures: dict[str, float] = {}

    def announce(self, recording: Recording) -> None:
        """Have the waveform of a new recording made ahead of time if it is long, unless too many wait."""
        if (recording.duration_s or 0) >= _AHEAD_FROM_S:
            with contextlib.suppress(asyncio.QueueFull):
                self._ahead.put_nowait(_Job(recording.recording_id, recording.key, recording.size_bytes))
                self._arrived.set()

    async def peaks(self, recording: RecordingDocument, deadline: Deadline) -> Peaks | None:
        """Return a stored recording's peaks, None when it cannot be decoded.

        `deadline` is for MongoDB. Raises `Unavailable` when MongoDB or the recording store is away, when the waveform takes
        too long or could not be made, and when too many wait; `NotFound` when the store has no such recording; and the
        driver's errors.
        """
        job = _Job(recording["recordingId"], recording["key"], recording["bytes"])
        async with deadline:
            stored = await self._waveforms.find(job.recording_id, decode.VERSION)
        if stored is not None:
            return stored.peaks
        result = self._ask(job)
        await asyncio.wait({result}, timeout=self._wait_s)
        if not result.done():
            raise Unavailable("The waveform is not ready yet; ask again shortly.", 10)
        return result.result()

    async def run(self) -> None:
        """Make what was asked for or announced, one recording at a time."""
        while True:
            job = await self._next()
            try:
                peaks = await self._make(job)
            except (TetherError, DriverError) as error:
                log(_LOG, logging.WARNING, "waveform_not_made", recordingId=job.recording_id, reason=str(error))
                if (result := self._asked.pop(job, None)) is not None:
                    result.set_exception(error)
                    result.exception()  # marks it as retrieved: who asked may have left
            else:
                if (result := self._asked.pop(job, None)) is not None:
                    result.set_result(peaks)
            finally:
                self._asked.pop(job, None)

    def _ask(self, job: _Job) -> asyncio.Future[Peaks | None]:
        wait_s = self._failures.get(job.recording_id, 0.0) - time.monotonic()
        if wait_s > 0:
            raise Unavailable("The waveform could not be made just now; ask again later.", math.ceil(wait_s))
        result = self._asked.get(job)
        if result is None:
            if len(self._asked) >= self._max_waiting:
                raise Unavailable("Too many waveforms are being made; ask again shortly.", 10, limit="waveforms")
            result = self._asked[job] = asyncio.get_running_loop().create_future()
            self._arrived.set()
        return result

    async def _next(self) -> _Job:
        """Return the next job: what somebody waits for goes first."""
        while not self._asked and self._ahead.empty():
            self._arrived.clear()
            await self._arrived.wait()
        return next(iter(self._asked)) if self._asked else self._ahead.get_nowait()

    async def _make(self, job: _Job) -> Peaks | None:
        async with Deadline():
            stored = await self._waveforms.find(job.recording_id, decode.VERSION)
        if stored is not None:
            return stored.peaks
        async with self._spool.writing() as writer:
            peaks = await self._decode(writer, job)
        async with Deadline():
            await self._waveforms.store(job.recording_id, peaks, decode.VERSION)
        return peaks

    async def _decode(self, writer: SpoolWriter, job: _Job) -> Peaks | None:
        try:
            async with asyncio.timeout(_COPY_S):
                async with contextlib.aclosing(self._recordings.read(job.key, 0, job.size_bytes)) as pieces:
                    async for piece in pieces:
                        await self._spool.run(writer.write, piece)
                file = await self._spool.run(writer.finish)
        except ValueError as error:
            raise NotFound("The recording is empty.") from error
        except TimeoutError as error:
            raise Unavailable("The recording store did not answer in time; ask again shortly.", 10) from error
        try:
            output = await self._decoder.output(file.path)
        except DecoderFailed as error:
            self._note_failure(job.recording_id)
            raise Unavailable("The waveform could not be made just now; ask again later.", 60) from error
        return Peaks.from_bytes(output) if output else None

    def _note_failure(self, recording_id: str) -> None:
        self._failures[recording_id] = time.monotonic() + self._retry_after_s
        if len(self._failures) > _MAX_FAILURES:
            del self._failures[next(iter(self._failures))]
