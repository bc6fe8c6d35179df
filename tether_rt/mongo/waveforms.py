"""Waveforms that were made: the collection `peaks`, by recording id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from tether_rt.domain.peaks import Peaks
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.documents import Collections


class StoredWaveform(NamedTuple):
    """What became of decoding a recording: its peaks, or None when it cannot be decoded."""

    peaks: Peaks | None


class Waveforms:
    """Queries on `peaks`."""

    def __init__(self, database: Database) -> None:
        self._peaks = Collections(database).peaks

    async def find(self, recording_id: str, decoder: int) -> StoredWaveform | None:
        """Return a recording's waveform, or None if it is to be made.

        That an older version of the decoder could not decode it does not count. Documents without a version are of a time in
        which a decoder that was killed counted as one that cannot decode.
        """
        found = await self._peaks.find_one({"_id": recording_id})
        if found is None or (found["peaks"] is None and found.get("decoder", 0) < decoder):
            return None
        if found["peaks"] is None:
            return StoredWaveform(None)
        return StoredWaveform(Peaks(tuple(found.get("channels", (found["peaks"],)))))

    async def store(self, recording_id: str, peaks: Peaks | None, decoder: int) -> None:
        """Store what the decoder of this version found."""
        document: Document = {"peaks": peaks and peaks.loudest, "decoder": decoder, "createdAt": datetime.now(UTC)}
        if peaks is not None and len(peaks.channels) > 1:
            document["channels"] = list(peaks.channels)
        await self._peaks.replace_one({"_id": recording_id}, document, upsert=True)
