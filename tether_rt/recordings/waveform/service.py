"""Peaks of recordings: computed once, ahead for long ones, kept for good.

A recording is fetched from its store into a spool file and decoded in a process of its own, one at a time: decoding takes 2 ms
of a core for a second of audio, and nobody waits for more than one waveform. What could not be decoded is not tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from tether_rt.domain.call import Recording
from tether_rt.errors import TetherError
from tether_rt.mongo.client import DriverError
from tether_rt.mongo.waveforms import Waveforms
from tether_rt.recordings.spool import Spool, SpoolWriter
from tether_rt.recordings.store import RecordingStore
from tether_rt.recordings.waveform.decoder_process import peaks_apart
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log

_AHEAD_S: Final = 120.0
"""From this length on peaks are computed when the call arrives; for a shorter one that takes a moment when it is opened."""
_MOST_AHEAD: Final = 100
_LOG: Final = logging.getLogger("tether.recordings")


class WaveformMaker:
    """Answers for a recording's peaks; `run` computes those of long recordings ahead."""

    def __init__(self, waveforms: Waveforms, recordings: RecordingStore, spool: Spool) -> None:
        self._waveforms = waveforms
        self._recordings = recordings
        self._spool = spool
        self._one = asyncio.Lock()
        self._ahead: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue(_MOST_AHEAD)

    def announce(self, recording: Recording) -> None:
        """Take note of a new recording. When too many wait, it is computed when it is asked for."""
        if (recording.duration_s or 0) >= _AHEAD_S:
            with contextlib.suppress(asyncio.QueueFull):
                self._ahead.put_nowait((recording.recording_id, recording.key, recording.size_bytes))

    async def run(self) -> None:
        """Compute what was announced, one after the other."""
        while True:
            recording_id, key, size_bytes = await self._ahead.get()
            try:
                await self._peaks(recording_id, key, size_bytes, Deadline())
            except (TetherError, DriverError) as error:
                log(_LOG, logging.WARNING, "waveform_not_made", recordingId=recording_id, reason=str(error))

    async def peaks(self, recording: dict[str, Any], deadline: Deadline) -> bytes | None:
        """Return a stored recording's peaks, None when its format cannot be decoded.

        `deadline` is what the request has left for MongoDB. Raises `Unavailable` when that or the store is away, and the
        driver's errors.
        """
        return await self._peaks(recording["recordingId"], recording["key"], recording["bytes"], deadline)

    async def _peaks(self, recording_id: str, key: str, size_bytes: int, deadline: Deadline) -> bytes | None:
        async with deadline:
            is_known, peaks = await self._waveforms.find(recording_id)
        if is_known:
            return peaks
        async with self._one:
            async with deadline:
                is_known, peaks = await self._waveforms.find(recording_id)
            if not is_known:
                async with self._spool.writing() as writer:
                    peaks = await self._compute(writer, key, size_bytes)
                async with deadline:
                    await self._waveforms.keep(recording_id, peaks)
            return peaks

    async def _compute(self, writer: SpoolWriter, key: str, size_bytes: int) -> bytes | None:
        async with contextlib.aclosing(self._recordings.read(key, 0, size_bytes)) as pieces:
            async for piece in pieces:
                await self._spool.run(writer.write, piece)
        file = await self._spool.run(writer.finish)
        return await peaks_apart(file.path)
