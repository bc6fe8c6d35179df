"""Recordings that are fetched after their call was stored.

Each process claims those that are due, several at a time, of the organizations that have the fewest under way, and tries each
once. What fails and may get better is tried again after the next of `Schedule.waits_s`, by any process; what cannot get better,
and what failed every time, is given up, and the call says why. A claim is a lease: when a process is killed, another one goes
on after `Schedule.lease_s`.

The recording is committed before its pending document is removed. A crash between the two leaves a document whose call has its
recording; whoever claims it next removes it.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from tether_rt.auth.credentials import Keyring
from tether_rt.domain.call import Recording
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, FetchFailed, NotFound, Unavailable
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.ingest.recording_changes import recording_failed_for_good, recording_is_there, recording_is_wanted_again
from tether_rt.ingest.vendors.registry import VENDORS
from tether_rt.mongo.amendments import Amended, Amendment, Decide
from tether_rt.mongo.client import DriverError, unavailable
from tether_rt.mongo.documents import PendingRecordingDocument
from tether_rt.mongo.pending_recordings import Due, PendingRecordings
from tether_rt.recordings.fetch.credentials import Credentials
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.batching import Batcher
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

MAX_AT_ONCE: Final = 96
"""Half of the slots for fetches (`fetch.limits`): the others are for vendors that wait."""
MAX_AT_ONCE_PER_ORGANIZATION: Final = 80
MAX_WAITING_OF_ONE: Final = 10_000
"""Recordings of one organization that may wait to be fetched. With more, further calls with an address are refused: their
vendor keeps them, and hears of it at once."""
_COUNTED_FOR_S: Final = 5.0
_GATHER_S: Final = 0.03
"""How long those that become due are gathered, so that one claim is made for several."""
_WIDE_S: Final = 0.5
"""How often organizations are looked for behind those that fill what is looked at first."""
_WIDE_LOOKS: Final = 8
_BATCH: Final = 128
FindSource = Callable[[str, str], Awaitable[Source | None]]
"""Returns an organization's source by its id."""
_LOG: Final = logging.getLogger("tether.recordings")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When recordings are tried; the first attempt is made at once."""

    waits_s: tuple[float, ...] = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
    """Between a failed attempt and the next one; a host that asks for more time with `Retry-After` gets it."""
    lease_s: float = 15.0
    """For how long a claim holds; it is renewed three times as often."""
    away_s: float = 15.0
    """The wait after an attempt for which this server had no store, no disk or no place. It does not count."""
    poll_s: float = 1.0
    """How often those are looked for that other processes have stored or given back."""
    max_waiting_of_one: int = MAX_WAITING_OF_ONE
    max_at_once: int = MAX_AT_ONCE
    max_at_once_of_one: int = MAX_AT_ONCE_PER_ORGANIZATION


@dataclass(slots=True)
class _Count:
    """How many recordings of an organization wait, as MongoDB said and with those that came since; true until `ends_s`."""

    waiting: int
    ends_s: float


class LaterRecordings:
    """Fetches them; one for the process."""

    def __init__(
        self,
        pending: PendingRecordings,
        intake: RecordingIntake,
        uploads: Uploads,
        group_commit: GroupCommit,
        keyring: Keyring,
        metrics: Metrics,
        announce: Callable[[Recording], None],
        find_source: FindSource,
        schedule: Schedule,
    ) -> None:
        """`announce` is called with each recording once it is durable and committed."""
        self._pending = pending
        self._intake = intake
        self._uploads = uploads
        self._group_commit = group_commit
        self._keyring = keyring
        self._metrics = metrics
        self._announce = announce
        self._find_source = find_source
        self._schedule = schedule
        self._waiting: dict[str, _Count] = {}
        """By organization, for those that have sent a call lately."""
        self._wake = asyncio.Event()
        self._counted_s = -math.inf
        self._is_draining = False
        self._wanted = Batcher(pending.wanted, max_items=_BATCH)
        self._removals = Batcher(self._remove_all, max_items=_BATCH)
        self._looked_wide_s = -math.inf
        self._attempts: dict[asyncio.Task[None], PendingRecordingDocument] = {}
        """The claim of each attempt under way."""
        self._claiming = asyncio.Lock()
        metrics.later_recordings_active.set_function(lambda: len(self._attempts))

    async def admit(self, url: str, organization_id: str) -> str:
        """Return an address as it is stored: it may hold credentials. Raises `Unavailable` when too many wait already."""
        now_s = time.monotonic()
        count = self._waiting.get(organization_id)
        if count is None or count.ends_s < now_s:
            self._waiting = {key: one for key, one in self._waiting.items() if one.ends_s >= now_s}
            waiting = await self._pending.count(organization_id, self._schedule.max_waiting_of_one)
            count = self._waiting[organization_id] = _Count(waiting, now_s + _COUNTED_FOR_S)
        if count.waiting >= self._schedule.max_waiting_of_one:
            sentence = "Too many recordings wait to be fetched; send the call again later."
            raise Unavailable(sentence, 60, limit="later_recordings")
        count.waiting += 1
        return self._keyring.seal(url)

    def wake(self) -> None:
        """Look for those that are due now: one was just stored."""
        self._wake.set()

    async def run(self) -> None:
        """Claim what is due and try it, until cancelled or drained."""
        try:
            while not self._is_draining:
                self._wake.clear()
                await self._count_waiting()
                async with self._claiming:
                    await self._begin_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._schedule.poll_s):
                        await self._wake.wait()
                await asyncio.sleep(_GATHER_S)
        finally:
            await self._end_attempts()

    async def _count_waiting(self) -> None:
        if time.monotonic() - self._counted_s > _COUNTED_FOR_S:
            self._counted_s = time.monotonic()
            with suppress(DriverError):  # the metric keeps its value while MongoDB is away
                self._metrics.later_recordings_waiting.set(await self._pending.count())

    async def drain(self) -> None:
        """Begin no more attempts, break off those under way and give their claims back; idempotent."""
        self._is_draining = True
        async with self._claiming:
            await self._end_attempts()

    async def retry(self, organization_id: str, call_id: str) -> bool:
        """Begin anew with a recording that was given up; return False if the call has none.

        Raises `Unavailable` when MongoDB is away.
        """
        # Claimed first: another process must not give it up once more before the call says that it is pending.
        claimed = await self._pending.reopen(organization_id, call_id, self._schedule.lease_s)
        if claimed is None:
            return False
        if not await self._amend(organization_id, call_id, recording_is_wanted_again):  # it was given a recording meanwhile
            await self._pending.remove([claimed])
            return False
        await self._pending.put_off(claimed, 0.0, 0)
        self.wake()
        return True

    async def _begin_due(self) -> None:
        free = self._schedule.max_at_once - len(self._attempts)
        if free <= 0 or self._is_draining:
            return
        at_work = Counter(one["organizationId"] for one in self._attempts.values())
        try:
            due = await self._due(at_work)
            chosen = fair_choice(due, at_work, free, self._schedule.max_at_once_of_one)
            claimed = await self._pending.claim(chosen, self._schedule.lease_s) if chosen else []
        except Exception as error:
            if unavailable(error) is None:
                raise
            return
        for one in claimed:
            task = asyncio.create_task(self._attempt(one))
            self._attempts[task] = one
            task.add_done_callback(self._ended)

    async def _due(self, at_work: Counter[str]) -> list[Due]:
        """Return what is due, of each organization some: one that has thousands does not hide the others."""
        schedule = self._schedule
        seen = {organization_id for organization_id, count in at_work.items() if count >= schedule.max_at_once_of_one}
        due: list[Due] = []
        looks = 1
        if time.monotonic() - self._looked_wide_s > _WIDE_S:
            self._looked_wide_s = time.monotonic()
            looks = _WIDE_LOOKS
        for _ in range(looks):
            found = await self._pending.due(schedule.max_at_once, seen)
            due += found
            if len(found) < schedule.max_at_once:
                break
            seen.update(one.organization_id for one in found)
        return due

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._attempts[task]
        self._wake.set()

    async def _end_attempts(self) -> None:
        """Break the attempts off and give their claims back, also of those that have not begun to run."""
        attempts = self._attempts.copy()
        for task in attempts:
            task.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        if attempts:
            try:
                await self._pending.give_back(list(attempts.values()))
            except Exception as error:  # the leases end by themselves
                log(_LOG, logging.WARNING, "claim_not_given_back", count=len(attempts), reason=type(error).__name__)

    async def _attempt(self, claimed: PendingRecordingDocument) -> None:
        try:
            async with self._renewing(claimed):
                await self._settle(claimed, await self._result(claimed))
        except Exception as error:
            self._count("away")
            if unavailable(error) is None:
                _log_unexpected(claimed)
            await self._put_off(claimed)

    async def _put_off(self, claimed: PendingRecordingDocument) -> None:
        try:
            await self._pending.put_off(claimed, self._schedule.away_s, claimed["attempts"] - 1)
        except Exception as error:  # the lease ends by itself
            log(_LOG, logging.WARNING, "claim_not_given_back", callId=claimed["_id"], reason=type(error).__name__)

    @asynccontextmanager
    async def _renewing(self, claimed: PendingRecordingDocument) -> AsyncIterator[None]:
        """Renew the claim within the block, which is cancelled when the claim is lost."""
        attempt = asyncio.current_task()
        assert attempt is not None
        renewing = asyncio.create_task(self._renew(claimed, attempt))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, claimed: PendingRecordingDocument, attempt: asyncio.Task[None]) -> None:
        step_s = self._schedule.lease_s / 3
        held_since_s = time.monotonic()
        is_held = True
        while is_held:
            await asyncio.sleep(step_s)
            asked_s = time.monotonic()
            try:
                async with asyncio.timeout(step_s):
                    is_held = await self._pending.renew(claimed, self._schedule.lease_s)
                held_since_s = asked_s
            except Exception:
                # MongoDB is away, for this process at least: another one may claim it as soon as the lease ends.
                is_held = time.monotonic() - held_since_s < 2 * step_s
        attempt.cancel()

    async def _result(self, claimed: PendingRecordingDocument) -> Recording | FetchFailed | None:
        """Return the stored recording, why there is none, or None if the call needs none any more.

        Raises when something of this server is away.
        """
        if not await self._wanted.submit(claimed):
            return None
        if claimed["attempts"] > len(self._schedule.waits_s) + 1:
            # An attempt counts from its beginning: a recording that kills its process must not do so for ever.
            sentence = "recording could not be fetched: the server ended during each attempt"
            return FetchFailed(sentence, "internal_error", may_get_better=False)
        url = self._keyring.unseal(claimed["url"])
        if url is None:
            sentence = "recording could not be fetched: its address was encrypted with another secret of the server"
            return FetchFailed(sentence, "recording_not_fetched", may_get_better=False)
        try:
            credentials = await self._credentials(claimed)
            return await self._intake.fetch_once(url, claimed["organizationId"], claimed["_id"], credentials)
        except FetchFailed as failure:
            return failure
        except BadRequest as refusal:
            return FetchFailed(str(refusal), refusal.code, may_get_better=False)
        except Exception as error:
            if unavailable(error) is not None:
                raise
            _log_unexpected(claimed)
            sentence = "recording could not be fetched: something went wrong here"
            return FetchFailed(sentence, "internal_error", may_get_better=True)

    async def _credentials(self, claimed: PendingRecordingDocument) -> Credentials | None:
        """Return what the call's source fetches its vendor's recordings with, None for most."""
        source_id = claimed.get("sourceId")
        source = await self._find_source(claimed["organizationId"], source_id) if source_id is not None else None
        if source is None or source.kind not in VENDORS or source.settings.sealed_fetch_password is None:
            return None
        password = self._keyring.unseal(source.settings.sealed_fetch_password)
        hosts = VENDORS[source.kind].recording_hosts
        return Credentials(hosts, source.settings.fetch_user, password) if password is not None else None

    async def _settle(self, claimed: PendingRecordingDocument, result: Recording | FetchFailed | None) -> None:
        organization_id, call_id, attempts = claimed["organizationId"], claimed["_id"], claimed["attempts"]
        if isinstance(result, FetchFailed):
            if result.may_get_better and attempts <= len(self._schedule.waits_s):
                wait_s = max(self._schedule.waits_s[attempts - 1], result.retry_after_s or 0)
                await self._pending.put_off(claimed, wait_s, attempts)
                self._count("again")
                return
            await self._amend(organization_id, call_id, recording_failed_for_good(result))
            await self._pending.give_up(claimed)
            self._count("failed")
            return
        if result is not None:
            with self._uploads.deciding(result.key) as upload:
                if await self._amend(organization_id, call_id, recording_is_there(result)):
                    upload.keep()
            if upload.is_kept:
                self._announce(result)
                self._count("stored")
        await self._removals.submit(claimed)

    async def _remove_all(self, claimed: list[PendingRecordingDocument]) -> list[None]:
        await self._pending.remove(claimed)
        return [None] * len(claimed)

    async def _amend(self, organization_id: str, call_id: str, change: Decide) -> bool:
        """Commit a change; say if there was something to change."""
        try:
            outcome = await self._group_commit.submit(Amendment(organization_id, call_id, change))
        except NotFound:
            return False
        return isinstance(outcome, Amended) and bool(outcome.changed)

    def _count(self, outcome: str) -> None:
        labelled(self._metrics.later_recordings, outcome).inc()


def fair_choice(due: Iterable[Due], at_work: Mapping[str, int], free: int, most_of_one: int) -> list[str]:
    """Return the calls whose recordings are begun: `free` of them, each of the organization that has the fewest at work.

    Of one organization they are taken in their order, while it has fewer than `most_of_one`.
    """
    queues: dict[str, deque[str]] = {}
    for call_id, organization_id in due:
        queues.setdefault(organization_id, deque()).append(call_id)
    order = [(at_work.get(one, 0), number, one) for number, one in enumerate(queues)]
    heapq.heapify(order)
    chosen: list[str] = []
    while order and len(chosen) < free:
        count, number, organization_id = heapq.heappop(order)
        if count < most_of_one:
            chosen.append(queues[organization_id].popleft())
            if queues[organization_id]:
                heapq.heappush(order, (count + 1, number, organization_id))
    return chosen


def _log_unexpected(claimed: PendingRecordingDocument) -> None:
    _LOG.exception("unexpected_error", extra={"fields": {"task": "later recordings", "callId": claimed["_id"]}})
