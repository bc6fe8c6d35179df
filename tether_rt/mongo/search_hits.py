"""The sentences that a page of calls shows for a search: read from the transcripts of these calls alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from tether_rt.domain.search_hits import Hit, finding_hits, turn_of
from tether_rt.domain.search_query import SearchQuery
from tether_rt.mongo.client import Database, Document
from tether_rt.runtime.cooperative import run_cooperatively

MAX_PAGE_CHARS: Final = 2_000_000
"""Characters that are looked at for one page: a second. Calls for which none are left have `hits: None`."""
_MAX_TURNS: Final = 10_000
"""Of a call; the driver decodes them in some milliseconds."""
_READ_BYTES: Final = 1 << 20
"""The driver decodes what is read at once in one go, during which no other Python code runs."""


class SearchHits:
    """Finds the sentences of calls that have the words of a search."""

    def __init__(self, database: Database, *, max_chars: int = MAX_PAGE_CHARS) -> None:
        self._calls = database["calls"]
        self._max_chars = max_chars

    async def of(self, organization_id: str, call_ids: list[str], query: SearchQuery) -> dict[str, list[Hit] | None]:
        """Return the hits of each call by its id; None for those that were not looked at."""
        if not query.marked or not call_ids:
            return {call_id: [] for call_id in call_ids}
        hits: dict[str, list[Hit] | None] = dict.fromkeys(call_ids)
        left_chars = self._max_chars
        async for call in self._spoken(organization_id, call_ids):
            if left_chars <= 0:
                break
            turns = [turn_of(*turn) for turn in zip(call["messages"], call["roles"], call["times"], strict=True)]
            found = finding_hits(turns, call["summary"], query.marked, most_chars=left_chars)
            hits[call["_id"]], chars = await run_cooperatively(found)
            left_chars -= chars
        return hits

    async def _spoken(self, organization_id: str, ids: list[str]) -> AsyncIterator[Document]:
        """Yield the summaries and transcripts of calls, these as lists of plain values, which the driver decodes fast."""
        own = {"organizationId": organization_id}
        sizes = self._calls.find({**own, "_id": {"$in": ids}}, {"bytes": {"$bsonSize": "$$ROOT"}})
        bytes_of = {call["_id"]: int(call["bytes"]) for call in await sizes.to_list(None)}
        page: list[str] = []
        size_bytes = 0
        for call_id in [*(one for one in ids if one in bytes_of), None]:
            size_bytes += bytes_of[call_id] if call_id is not None else 0
            if page and (call_id is None or size_bytes > _READ_BYTES):
                read = self._calls.find({**own, "_id": {"$in": page}}, _SPOKEN)
                spoken = {call["_id"]: call for call in await read.to_list(None)}
                for one in page:
                    if one in spoken:
                        yield spoken[one]
                page, size_bytes = [], bytes_of.get(call_id or "", 0)
            if call_id is not None:
                page.append(call_id)


def _of_turns(field: str) -> dict[str, Any]:
    turns = {"$slice": [{"$ifNull": ["$transcription", []]}, _MAX_TURNS]}
    return {"$map": {"input": turns, "in": {"$ifNull": [f"$$this.{field}", None]}}}


_SPOKEN: Final = {
    "summary": {"$ifNull": ["$summary", None]},
    "messages": _of_turns("message"),
    "roles": _of_turns("role"),
    "times": _of_turns("timestamp"),
}
