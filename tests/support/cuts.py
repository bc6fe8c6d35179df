"""A proxy's connections, each cut behind a byte that was planned for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.support.proxy import Passage


class Cut(NamedTuple):
    """Where a connection ends: `after_bytes` of one direction have passed."""

    up: bool
    """Towards the server."""
    after_bytes: int


class Cuts:
    """The plan for the connections to come, one cut for each; once it is used up none is cut. Give `look` to a proxy."""

    def __init__(self, plan: Iterable[Cut]) -> None:
        self._plan = iter(plan)
        self._cuts: dict[Passage, Cut | None] = {}
        self.done: list[Cut] = []
        self.passed_bytes = {True: 0, False: 0}
        """Of all connections, by whether they went up."""

    async def look(self, passage: Passage, up: bool, piece: bytes) -> bool:
        """Let a piece pass, or what is left of it up to the cut: every other one is clean, the rest are resets."""
        self.passed_bytes[up] += len(piece)
        if passage not in self._cuts:
            self._cuts[passage] = next(self._plan, None)
        cut = self._cuts[passage]
        if cut is None or cut.up != up:
            return True
        seen = passage.notes.get("seen", 0)
        passage.notes["seen"] = seen + len(piece)
        if seen + len(piece) < cut.after_bytes:
            return True
        self.done.append(cut)
        writer = passage.server if up else passage.client
        writer.write(piece[: cut.after_bytes - seen])
        await writer.drain()
        if cut.after_bytes % 2:
            for half in (passage.client, passage.server):
                half.close()
                await half.wait_closed()
        return False
