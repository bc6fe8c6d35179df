"""Waveforms that were computed once: `peaks` by recording id."""

from __future__ import annotations

from datetime import UTC, datetime

from tether_rt.mongo.client import Database


class Waveforms:
    """Queries on `peaks`."""

    def __init__(self, database: Database) -> None:
        self._peaks = database["peaks"]

    async def find(self, recording_id: str) -> tuple[bool, bytes | None]:
        """Say if the recording was computed, and its peaks: None for one that cannot be decoded."""
        found = await self._peaks.find_one({"_id": recording_id})
        return found is not None, found["peaks"] if found else None

    async def keep(self, recording_id: str, peaks: bytes | None) -> None:
        """Keep what was computed."""
        await self._peaks.replace_one({"_id": recording_id}, {"peaks": peaks, "createdAt": datetime.now(UTC)}, upsert=True)
