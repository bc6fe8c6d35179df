"""Queries on `call_changes`: what a call was before each of its changes."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.free_form import RAW, as_stored

MAX_SHOWN_BYTES: Final = 1 << 20
"""Of old values with a call. The driver decodes them in one go; what is left out can be asked for by its number."""


class CallChanges:
    """Reads the histories of calls. As shown, an entry is `{number, at, sourceId, changed: {field: old value}, omitted?}`."""

    def __init__(self, database: Database) -> None:
        self._changes = database.get_collection("call_changes", codec_options=RAW)

    async def of_call(self, organization_id: str, call_id: str) -> list[dict[str, Any]]:
        """Return a call's history, oldest first; an entry past `MAX_SHOWN_BYTES` names its fields in `omitted` instead."""
        own = {"callId": call_id, "organizationId": organization_id}
        sizes: Document = {"number": 1, "bytes": {"$bsonSize": "$$ROOT"}}
        shown: list[int] = []
        is_empty, left_bytes = True, MAX_SHOWN_BYTES
        async for entry in self._changes.find(own, sizes).sort("number", -1):
            is_empty = False
            if entry["bytes"] <= left_bytes:
                left_bytes -= entry["bytes"]
                shown.append(entry["number"])
        if is_empty:
            return []
        names = {"$map": {"input": {"$objectToArray": "$changed"}, "in": "$$this.k"}}
        is_shown = {"$in": ["$number", shown]}
        fields: Document = {
            "_id": 0,
            **dict.fromkeys(("number", "at", "sourceId"), 1),
            "changed": {"$cond": [is_shown, "$changed", {}]},
            "omitted": {"$cond": [is_shown, "$$REMOVE", names]},
        }
        entries = await self._changes.find(own, fields).sort("number", 1).to_list(None)
        return await asyncio.to_thread(lambda: [_shown(entry) for entry in entries])

    async def entry(self, organization_id: str, call_id: str, number: int) -> dict[str, Any] | None:
        """Return one entry with all its old values."""
        own = {"callId": call_id, "organizationId": organization_id, "number": number}
        fields = {"_id": 0, **dict.fromkeys(("number", "at", "sourceId", "changed"), 1)}
        found = await self._changes.find_one(own, fields)
        return None if found is None else await asyncio.to_thread(_shown, found)


def _shown(entry: Any) -> dict[str, Any]:
    shown: dict[str, Any] = as_stored(entry)
    recording = shown["changed"].get("recording")
    if recording is not None:
        shown["changed"]["recording"] = {name: value for name, value in recording.items() if name != "key"}
    return shown
