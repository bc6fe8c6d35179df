"""Has this call been stored before? Asked for every call with an `externalCallId`, answered together.

Questions that arrive while one query is under way go into the next one, so that a busy server asks MongoDB once for many
calls, and an idle one at once for each: the same idea as the group commit, on the reading side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from tether_rt.mongo.lookups import CallKey, Lookups, StoredCall

MAX_KEYS: Final = 512
"""In one query: MongoDB takes 16 MB, and the longest keys are 16 KB."""


Answer = asyncio.Future[StoredCall | None]


class DuplicateCheck:
    """Looks calls up by user and `externalCallId`."""

    def __init__(self, known: Lookups) -> None:
        self._known = known
        self._asked: dict[CallKey, list[Answer]] = {}
        self._query: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._known.close()

    def find(self, key: CallKey) -> Answer:
        """Return what will be the stored call, or None; it raises the driver's errors, and may be given up."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(answer)
        if self._query is None:
            self._query = asyncio.create_task(self._answer())
        return answer

    async def _answer(self) -> None:
        try:
            while self._asked:
                asked = {key: self._asked.pop(key) for key in list(islice(self._asked, MAX_KEYS))}
                try:
                    found = await self._known.calls(asked)
                except Exception as error:  # handed to everybody who asked, who raise it
                    for answer in _awaited(chain.from_iterable(asked.values())):
                        answer.set_exception(error)
                    continue
                for key, answers in asked.items():
                    for answer in _awaited(answers):
                        answer.set_result(found.get(key))
        finally:
            self._query = None


def _awaited(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield those that nobody has given up."""
    return (answer for answer in answers if not answer.done())
