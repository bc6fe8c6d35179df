"""Recordings on their way to a call: uploaded first, then named by a call that is committed, or removed.

A recording is durable before its call is committed, so an attempt that fails, or turns out to be a duplicate, leaves a
recording that no call names. Which ones are undecided is known in memory, and from a journal after a crash.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tether_rt.errors import BadRequest, TetherError, Unavailable
from tether_rt.recordings.file_threads import FileThreads
from tether_rt.recordings.growing_file import GrowingFile
from tether_rt.recordings.store import RecordingStore, key_owner
from tether_rt.recordings.upload_journal import UploadJournal
from tether_rt.runtime.batching import Batcher
from tether_rt.runtime.logs import log

MAX_UNDECIDED: Final = 16_384
"""Recordings whose call is neither stored nor refused for certain. With more of them further recordings are refused."""
DOUBT_S: Final = 60.0
"""How long after a failure a recording is looked at: by then no attempt of this process can store its call any more."""
RETRY_S: Final = 5.0
"""How long after MongoDB or the store failed a recording is looked at again."""
NOTE_S: Final = 4.5
"""How long the journal may take: as long as a small recording on disk."""
_AT_ONCE: Final = 256
_REMOVALS_AT_ONCE: Final = 8
_LOG: Final = logging.getLogger("tether.recordings")

Named = Callable[[str, Mapping[str, str]], Awaitable[set[str]]]
"""Returns the keys that calls of an organization name for good: `mongo.recording_keys.RecordingKeys.named`."""


class Upload:
    """A recording whose call is being committed."""

    def __init__(self) -> None:
        self.is_kept = False

    def keep(self) -> None:
        """Note that a call that names the recording has been committed."""
        self.is_kept = True


class Uploads:
    """Stores recordings, and removes those that no call names. `run` does the latter."""

    def __init__(
        self,
        directory: Path,
        store: RecordingStore,
        named: Named,
        *,
        max_undecided: int = MAX_UNDECIDED,
        doubt_s: float = DOUBT_S,
        retry_s: float = RETRY_S,
        hung_after_s: float = NOTE_S,
    ) -> None:
        """Take the directory of the journals, which processes may share."""
        self._store = store
        self._named = named
        self._max_undecided = max_undecided
        self._doubt_s = doubt_s
        self._retry_s = retry_s
        self._journal = UploadJournal(directory)
        self._threads = FileThreads(1, "tether-uploads", hung_after_s)
        self._notes: Batcher[str, None] = Batcher(self._note, max_items=_AT_ONCE)
        self._undecided: set[str] = set()
        # When to look at each key, in monotonic seconds, and whether it is in doubt that no call names it.
        self._due: list[tuple[float, str, bool]] = []
        self._arrived = asyncio.Event()

    @property
    def undecided(self) -> int:
        """How many recordings are undecided."""
        return len(self._undecided)

    async def start(self) -> None:
        """Begin a journal, and take over those of dead processes; raises `Unavailable`."""
        await self._threads.run(self._journal.open)
        adopted = await self._threads.run(self._journal.adopt)
        self._undecided.update(adopted)
        for key in adopted:
            self._look_at(key)

    async def close(self) -> None:
        """Leave the journal to the next start if a recording is undecided; idempotent."""
        await self._notes.close()
        await self._threads.run(self._journal.close, self._undecided)
        await self._threads.close()

    def takes_growing(self, size_bytes: int) -> bool:
        """Return whether a recording that will have this size may be `put` while it arrives."""
        return self._store.part_bytes is not None and size_bytes > self._store.part_bytes

    async def put(self, key: str, source: bytes | Path | GrowingFile, content_type: str) -> None:
        """Store a recording as `RecordingStore.put` does. Decide about it with `undecided`."""
        if len(self._undecided) >= self._max_undecided:
            raise Unavailable("The server is busy with other recordings; send this one again later.", 30, limit="undecided")
        self._undecided.add(key)
        try:
            await self._notes.submit(key)
        except BaseException:
            self._undecided.discard(key)
            raise
        try:
            await self._store.put(key, source, content_type)
        except BaseException:
            self._look_at(key, self._doubt_s)  # the store may still be at it
            raise

    @contextmanager
    def deciding(self, key: str | None) -> Iterator[Upload]:
        """Decide about a recording, if there is one, by how the block ends: it is removed unless the block called `keep`.

        After a failure that leaves in doubt whether the call was stored, it is looked for later.
        """
        upload = Upload()
        is_in_doubt = True
        try:
            yield upload
            is_in_doubt = False
        except BadRequest:
            is_in_doubt = False
            raise
        finally:
            if key is not None:
                if upload.is_kept:
                    self._undecided.discard(key)
                elif is_in_doubt:
                    self._look_at(key, self._doubt_s)
                else:
                    self._look_at(key, is_in_doubt=False)

    async def run(self) -> None:
        """Remove recordings that no call names, as soon as that is certain."""
        while True:
            if due := self._take_due():
                doubtful = [key for key, is_in_doubt in due if is_in_doubt]
                unnamed = [key for key, is_in_doubt in due if not is_in_doubt]
                await asyncio.gather(self._decide(doubtful), self._remove_all(unnamed))
                continue
            wait_s = self._due[0][0] - time.monotonic() if self._due else None
            self._arrived.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
            except TimeoutError:
                pass

    def _look_at(self, key: str, after_s: float = 0.0, *, is_in_doubt: bool = True) -> None:
        heapq.heappush(self._due, (time.monotonic() + after_s, key, is_in_doubt))
        self._arrived.set()

    def _take_due(self) -> list[tuple[str, bool]]:
        due: list[tuple[str, bool]] = []
        while self._due and self._due[0][0] <= time.monotonic() and len(due) < _AT_ONCE:
            due.append(heapq.heappop(self._due)[1:])
        return due

    async def _decide(self, keys: list[str]) -> None:
        """Find out which of the recordings calls name, and remove the others."""
        by_organization: dict[str, dict[str, str]] = defaultdict(dict)
        for key in keys:
            owner = key_owner(key)
            assert owner is not None, "a recording is uploaded for a call"
            by_organization[owner.organization_id][key] = owner.call_id
        await asyncio.gather(*(self._decide_of_one(*item) for item in by_organization.items()))

    async def _decide_of_one(self, organization_id: str, call_ids: dict[str, str]) -> None:
        """Decide about recordings of one organization; `call_ids` is by key."""
        try:
            named = await self._named(organization_id, call_ids)
        except TetherError as error:
            log(_LOG, logging.WARNING, "recording_not_decided", organizationId=organization_id, reason=str(error))
            for key in call_ids:
                self._look_at(key, self._retry_s)
            return
        self._undecided.difference_update(named)
        await self._remove_all([key for key in call_ids if key not in named])

    async def _remove_all(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _REMOVALS_AT_ONCE):
            await asyncio.gather(*map(self._remove, keys[start : start + _REMOVALS_AT_ONCE]))

    async def _remove(self, key: str) -> None:
        """Remove a recording that no call names, later if the store is away."""
        try:
            await self._store.remove(key)
        except TetherError as error:
            log(_LOG, logging.WARNING, "recording_not_removed", key=key, reason=str(error))
            self._look_at(key, self._retry_s, is_in_doubt=False)
            return
        self._undecided.discard(key)
        log(_LOG, logging.INFO, "recording_removed", key=key)

    async def _note(self, keys: list[str]) -> list[None]:
        await self._threads.run(self._journal.note, keys, self._undecided.copy)
        return [None] * len(keys)
