"""What each organization keeps no longer is erased: calls, and recordings sooner than their calls.

The setting is in the organization's document. Any process that finds it due begins an erasure with an id of its own, which one
process at a time works on (`eraser`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from tether_rt.domain.erasure import Kind
from tether_rt.erasure.eraser import Eraser
from tether_rt.mongo.client import Database, Document, unavailable
from tether_rt.mongo.documents import Collections
from tether_rt.mongo.erasures import Asked, Erasures

LOOK_S: Final = 15.0
"""Between two looks for what is due."""
EVERY_S: Final = 3_600.0
"""Between two sweeps of an organization; a changed setting is acted on at the next look."""
MOST_COUNTED: Final = 100_000
_COUNT_MS: Final = 2_000
KINDS: Final[tuple[tuple[str, Kind], ...]] = (("recordingsDays", "recordings"), ("callsDays", "expired"))


class Preview(NamedTuple):
    """What a retention would erase now, counted up to `MOST_COUNTED`."""

    calls: int
    recordings: int


class Retention:
    """Begins the erasures; one for the process."""

    def __init__(self, database: Database, erasures: Erasures, eraser: Eraser) -> None:
        collections = Collections(database)
        self._organizations = collections.organizations
        self._calls = collections.calls
        self._erasures = erasures
        self._eraser = eraser

    async def run(self) -> None:
        """Begin what is due, until cancelled."""
        while True:
            try:
                await self.begin_due()
            except Exception as error:
                if unavailable(error) is None:
                    raise
            await asyncio.sleep(LOOK_S)

    async def begin_due(self) -> None:
        """Begin the erasures of all organizations that are due."""
        query: Document = {"retention": {"$type": "object"}}
        async for organization in self._organizations.find(query, {"retention": 1}):
            retention = cast("dict[str, Any]", organization)["retention"]
            for name, kind in KINDS:
                if retention.get(name) is None:
                    continue
                asked = Asked(
                    organization["_id"],
                    kind,
                    None,
                    "server",
                    days=int(retention[name]),
                    erasure_id=f"{organization['_id']}:{kind}",
                )
                if not await self._erasures.is_recent(asked, EVERY_S):
                    await self._eraser.erase(asked, 0)

    async def preview(self, organization_id: str, calls_days: int | None, recordings_days: int | None) -> Preview:
        """Return what this retention would erase now."""
        calls, recordings = await asyncio.gather(
            self._count(organization_id, calls_days, {}),
            self._count(organization_id, _sooner(calls_days, recordings_days), {"recordings.0": {"$exists": True}}),
        )
        return Preview(calls, recordings)

    async def _count(self, organization_id: str, days: int | None, more: Document) -> int:
        if days is None:
            return 0
        before = datetime.now(UTC) - timedelta(days=days)
        query = {"organizationId": organization_id, "startTime": {"$lt": before}, **more}
        return await self._calls.count_documents(query, limit=MOST_COUNTED, maxTimeMS=_COUNT_MS)


def _sooner(calls_days: int | None, recordings_days: int | None) -> int | None:
    """Return after how many days recordings go, by themselves or with their calls."""
    return min((days for days in (calls_days, recordings_days) if days is not None), default=None)
