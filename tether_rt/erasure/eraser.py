"""Erases calls and contacts for good, in small steps, each of which may be killed and repeated.

An erasure is written down first (`mongo.erasures`). Then, of some calls at a time: their events in the feed become
placeholders, the bodies of their deliveries go, their recordings go, and one transaction removes the documents and commits the
events that say so (`mongo.erasing_transaction`). A recording store that is away is tried again until its files are gone. Any
process goes on with an erasure whose process was killed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from tether_rt.domain.erasure import NOTHING, Erased, ErasureDocument
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import unavailable
from tether_rt.mongo.erased_events import WINDOW_EVENTS, ErasedEvents, Subjects
from tether_rt.mongo.erased_files import ErasedFiles
from tether_rt.mongo.erasing_transaction import ErasingTransaction, files_of
from tether_rt.mongo.erasures import Asked, Erasures
from tether_rt.mongo.search_index import SearchIndex
from tether_rt.recordings.store import RecordingStore
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

BATCH_CALLS: Final = 64
BATCH_FILES: Final = 64
FILES_AT_ONCE: Final = 8
MAX_AT_ONCE: Final = 4
"""Erasures that a process works on at once."""
POLL_S: Final = 2.0
"""How often erasures are looked for that another process left."""
REST_S: Final = 0.05
"""Between two batches of the retention, for which nobody waits."""
_AWAY: Final = Backoff(2.0, 300.0)
_LOG: Final = logging.getLogger("tether.erasure")


class Eraser:
    """Works on erasures; one for the process. `run` goes on with those that others left."""

    def __init__(
        self,
        erasures: Erasures,
        events: ErasedEvents,
        files: ErasedFiles,
        transaction: ErasingTransaction,
        store: RecordingStore,
        metrics: Metrics,
        search: SearchIndex,
    ) -> None:
        self._erasures = erasures
        self._events = events
        self._files = files
        self._transaction = transaction
        self._store = store
        self._metrics = metrics
        self._search = search
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Go on with erasures whose time has come, until cancelled."""
        while True:
            erasure = None
            try:
                if not self._places.locked():
                    erasure = await self._erasures.claim()
                self._metrics.erasures_waiting.set(await self._erasures.count())
            except Exception as error:
                if unavailable(error) is None:
                    raise
            if erasure is not None:
                self._begin(erasure)
            else:
                await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def erase(self, asked: Asked, within_s: float) -> Erased | None:
        """Erase what was asked for; return what was erased after `within_s` at the latest, while the rest goes on.

        None if there is no such call or contact. Raises the driver's errors when it could not be written down.
        """
        if not await self._erasures.exists(asked):
            return None
        erasure = await self._erasures.begin(asked)
        if erasure is None:  # another process is at it
            return Erased(asked.erasure_id or "", NOTHING, 0, 0)
        await asyncio.wait({self._begin(erasure)}, timeout=within_s)
        return await self.outcome(erasure["_id"])

    def _begin(self, erasure: ErasureDocument) -> asyncio.Task[None]:
        task = asyncio.create_task(self._in_place(erasure))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def outcome(self, erasure_id: str) -> Erased:
        """Return what an erasure has done until now."""
        erasure = await self._erasures.find(erasure_id)
        if erasure is None or erasure["nextAt"] is None:
            return Erased(erasure_id, erasure["erased"] if erasure is not None else NOTHING, 0, 0)
        calls = await self._erasures.count_calls(erasure) if erasure["kind"] != "recordings" else 0
        return Erased(erasure_id, erasure["erased"], calls, await self._erasures.count_files(erasure_id))

    async def _in_place(self, erasure: ErasureDocument) -> None:
        async with self._places:
            await self._keep_at(erasure)

    async def _keep_at(self, erasure: ErasureDocument) -> None:
        """Work on an erasure until it is done, or something is away."""
        try:
            await self._work(erasure)
        except Exception as error:
            away = unavailable(error)
            if away is None:
                _LOG.exception("unexpected_error", extra={"fields": {"task": "erasure", "erasureId": erasure["_id"]}})
            else:
                log(_LOG, logging.WARNING, "erasure_put_off", erasureId=erasure["_id"], reason=str(away))
            try:
                await self._erasures.put_off(erasure["_id"], _AWAY.wait_s(erasure["failures"] + 1))
            except Exception as failed:  # the lease ends by itself
                if unavailable(failed) is None:
                    raise

    async def _work(self, erasure: ErasureDocument) -> None:
        renewed = await self._erasures.renew(erasure["_id"])
        if renewed is None:
            return  # done by another process
        if erasure["kind"] == "recordings":
            await self._expire_recordings(renewed)
        else:
            await self._erase_calls(renewed)
        left = await self._remove_files(erasure, must_be_all=True)
        if left is not None:
            raise left
        if erasure["kind"] == "expired" and (await self.outcome(erasure["_id"])).erased["calls"]:
            # An entry that was made at the moment in which its call went: no event of its own says that it is gone.
            await self._search.forget_before(erasure["organizationId"], erasure["before"])
            await self._transaction.announce_expired(erasure)
        await self._erasures.finish(erasure["_id"])
        log(_LOG, logging.INFO, "erased", erasureId=erasure["_id"], kind=erasure["kind"])

    async def _erase_calls(self, erasure: ErasureDocument) -> None:
        erasure = await self._erase_events(erasure)
        while True:
            calls = await self._erasures.next_calls(erasure, BATCH_CALLS)
            deliveries = await self._files.remove_deliveries(erasure, calls)
            await self._erasures.note(erasure["_id"], add={"deliveries": deliveries})
            noted = files_of(calls)
            await self._erasures.add_files(erasure, noted)
            await self._remove_files(erasure)
            call_ids = [call["_id"] for call in calls]
            batch = await self._transaction.erase_calls(erasure, call_ids, {key for key, _ in noted})
            await self._search.forget(erasure["organizationId"], call_ids)
            if call_ids:  # a part that was on its way when its call went
                await self._files.remove_deliveries_of(erasure, call_ids)
            self._metrics.erased_calls.inc(batch.calls)
            if not calls and not await self._erasures.count_calls(erasure):
                return
            await self._erasures.renew(erasure["_id"])
            if await self._events.last(erasure["organizationId"]) - erasure["walkedTo"] > WINDOW_EVENTS:
                erasure = await self._erase_events(erasure)
            await asyncio.sleep(REST_S if erasure["kind"] == "expired" else 0)

    async def _erase_events(self, erasure: ErasureDocument) -> ErasureDocument:
        """Erase the events in the feed as of now; those that come meanwhile are left to the transaction."""
        organization_id, after = erasure["organizationId"], erasure["walkedTo"]
        last = await self._events.last(organization_id)
        erased = 0
        if erasure["kind"] == "call":
            subjects = Subjects(call_ids=frozenset((erasure["callId"],)))
            erased = await self._events.erase(organization_id, subjects, after, last)
        elif erasure["kind"] == "contact":
            subjects = Subjects(contact_ids=frozenset((erasure["contactId"],)))
            erased = await self._events.erase(organization_id, subjects, after, last)
        else:
            async for named in self._events.named(organization_id, after, last):
                doomed = frozenset(await self._erasures.doomed(erasure, named.call_ids))
                if doomed:
                    erased += await self._events.erase(organization_id, Subjects(doomed), named.after, named.last)
                await self._erasures.renew(erasure["_id"])
        await self._erasures.note(erasure["_id"], add={"events": erased}, walkedTo=last)
        return {**erasure, "walkedTo": last}

    async def _expire_recordings(self, erasure: ErasureDocument) -> None:
        async for calls in self._files.with_recordings(erasure, BATCH_CALLS):
            await self._transaction.expire_recordings(erasure, calls)
            await self._remove_files(erasure)
            await self._erasures.renew(erasure["_id"])
            await asyncio.sleep(REST_S)

    async def _remove_files(self, erasure: ErasureDocument, *, must_be_all: bool = False) -> Unavailable | None:
        """Remove files from the store, all or as many as were there; return why some are left."""
        while files := await self._erasures.files(erasure["_id"], BATCH_FILES):
            shared = await self._files.shared(erasure, [file["_id"] for file in files])
            keys = [file["_id"] for file in files if file["_id"] not in shared]
            places = asyncio.Semaphore(FILES_AT_ONCE)
            failed = await asyncio.gather(*(self._remove_file(key, places) for key in keys))
            gone = {key for key, error in zip(keys, failed, strict=True) if error is None}
            recordings = [one["recordingId"] for one in files if one["_id"] in gone | shared and one["recordingId"] is not None]
            await self._files.remove_waveforms(recordings)
            await self._erasures.forget_files(gone | shared)
            if (away := next((error for error in failed if error is not None), None)) is not None:
                return away
            if must_be_all:
                await self._erasures.renew(erasure["_id"])
        return None

    async def _remove_file(self, key: str, places: asyncio.Semaphore) -> Unavailable | None:
        """Remove a file; return why it could not be removed."""
        async with places:
            try:
                await self._store.remove(key)
            except Unavailable as away:
                return away
        return None
