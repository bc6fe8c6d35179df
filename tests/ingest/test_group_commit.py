"""The group commit: what goes together, who is answered what, and that nobody waits for ever or for another organization.

The writer is the fault boundary: it does what the test says. With a real MongoDB: `tests/mongo/test_batch_writer.py` and
`tests/faults/test_organizations.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.entries import caller, entry
from tether_rt.domain.events import CallIds
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, NotStorable, TetherError, Unavailable, WriteConflict
from tether_rt.ingest.group_commit import MAX_BATCH_BYTES, GroupCommit
from tether_rt.mongo.amendments import Amendment
from tether_rt.mongo.batch_plan import BatchItem, Created, Entry, ItemOutcome
from tether_rt.runtime.metrics import Metrics

WHOSE = caller()


class Database:
    """What the writers of a test share: notes what they are asked to write, waits while held, fails as `judge` says."""

    def __init__(self) -> None:
        self.batches: list[list[BatchItem]] = []
        self.retries: list[bool] = []
        self.stored: list[BatchItem] = []
        self.script: list[Exception | None] = []
        self.judge: Callable[[Sequence[BatchItem]], Exception | None] = lambda entries: None
        self.writers = 0
        self.at_work = 0
        self.most_at_work = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    def writer(self) -> ScriptedWriter:
        self.writers += 1
        return ScriptedWriter(self)


class ScriptedWriter:
    """One connection to such a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, items: Sequence[BatchItem], *, is_retry: bool = False) -> list[ItemOutcome]:
        database = self._database
        assert len({one.organization_id for one in items}) == 1, "a batch is one organization's"
        database.batches.append(list(items))
        database.retries.append(is_retry)
        database.begun.set()
        database.at_work += 1
        database.most_at_work = max(database.most_at_work, database.at_work)
        try:
            await database.may_end.wait()
        finally:
            database.at_work -= 1
        error = database.script.pop(0) if database.script else database.judge(items)
        if error is not None:
            raise error
        database.stored += items
        return [created(one) for one in items]

    async def close(self) -> None:
        self._database.writers -= 1


def created(one: BatchItem) -> Created:
    assert isinstance(one, Entry | Amendment)
    return Created(CallIds(one.call_id, "contact", "conversation"))


def ids_in(batch: Iterable[BatchItem]) -> set[str]:
    return {created(one).ids.call_id for one in batch}


def calls(count: int, weight_bytes: int = 500, whose: Source = WHOSE) -> list[Entry]:
    return [entry(whose)._replace(elements=bytes(weight_bytes)) for _ in range(count)]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def database() -> Database:
    return Database()


@asynccontextmanager
async def running(database: Database, metrics: Metrics | None = None, **options: Any) -> AsyncIterator[GroupCommit]:
    group_commit = GroupCommit(database.writer, metrics or Metrics(), **options)
    try:
        yield group_commit
    finally:
        await group_commit.close()
        await group_commit.close()


@pytest.fixture
async def group_commit(database: Database, metrics: Metrics) -> AsyncIterator[GroupCommit]:
    async with running(database, metrics) as group_commit:
        yield group_commit


async def submitted(group_commit: GroupCommit, entries: Sequence[BatchItem]) -> list[asyncio.Task[Any]]:
    """Submit all of them and return once each of them waits."""
    tasks = [asyncio.create_task(group_commit.submit(one)) for one in entries]
    await asyncio.sleep(0)
    return tasks


async def held_first(group_commit: GroupCommit, database: Database, whose: Source = WHOSE) -> asyncio.Task[Any]:
    """Return the first call's submission, whose commit is under way until `database.may_end` is set."""
    database.may_end.clear()
    (first,) = await submitted(group_commit, calls(1, whose=whose))
    await database.begun.wait()
    return first


# ---------------------------------------------------------------------- together


async def test_a_call_that_finds_its_lane_idle_is_committed_at_once_and_alone(
    group_commit: GroupCommit, database: Database
) -> None:
    for one in calls(3):
        assert await group_commit.submit(one) == created(one)
    assert database.sizes == [1, 1, 1]
    assert database.writers == 1


async def test_calls_that_arrive_during_a_commit_go_together_by_the_next_in_their_order(
    group_commit: GroupCommit, database: Database
) -> None:
    first = await held_first(group_commit, database)
    entries = calls(20)
    later = await submitted(group_commit, entries)
    assert database.sizes == [1]
    assert not any(task.done() for task in [first, *later])
    database.may_end.set()
    assert await asyncio.gather(*later) == [created(one) for one in entries]
    assert database.batches[1:] == [entries]


async def test_a_batch_has_a_largest_number_of_calls(database: Database) -> None:
    async with running(database, max_batch_calls=4) as group_commit:
        await held_first(group_commit, database)
        entries = calls(10)
        later = await submitted(group_commit, entries)
        database.may_end.set()
        await asyncio.gather(*later)
        assert max(database.sizes) <= 4
        assert database.stored[1:] == entries


async def test_a_batch_has_a_largest_weight_and_what_is_heavier_goes_alone(
    group_commit: GroupCommit, database: Database
) -> None:
    await held_first(group_commit, database)
    light, heavy = MAX_BATCH_BYTES * 2 // 5, MAX_BATCH_BYTES * 5
    later = await submitted(group_commit, [*calls(2, light), *calls(1, heavy), *calls(2, light), *calls(1, light)])
    database.may_end.set()
    await asyncio.gather(*later)
    assert [sum(one.weight_bytes for one in batch) for batch in database.batches[1:]] == [2 * light, heavy, 2 * light, light]


async def test_an_amendment_goes_after_the_batch_that_stores_its_call(group_commit: GroupCommit, database: Database) -> None:
    await held_first(group_commit, database)
    new, old = calls(2)
    items: list[BatchItem] = [
        Amendment(WHOSE.organization_id, old.call_id, lambda call: None),
        new,
        Amendment(WHOSE.organization_id, old.call_id, lambda call: None),
        Amendment(WHOSE.organization_id, new.call_id, lambda call: None),
    ]
    later = await submitted(group_commit, items)
    database.may_end.set()
    await asyncio.gather(*later)
    assert database.batches[1:] == [items[:3], items[3:]]


async def test_what_is_committed_is_counted(group_commit: GroupCommit, database: Database, metrics: Metrics) -> None:
    await held_first(group_commit, database)
    later = await submitted(group_commit, calls(5))

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(f"tether_commit_{name}")

    assert (value("queue_calls"), value("lanes")) == (5, 1)
    database.script = [None, WriteConflict()]
    database.may_end.set()
    await asyncio.gather(*later)
    assert (value("queue_calls"), value("lanes")) == (0, 0)
    assert (value("batch_calls_sum"), value("batch_calls_count"), value("seconds_count")) == (6, 2, 2)
    assert value("retries_total") == 1


# ---------------------------------------------------------------------- organizations


async def test_organizations_do_not_wait_for_each_other(database: Database) -> None:
    other = caller()
    held = asyncio.Event()

    class Held(ScriptedWriter):
        async def write(self, items: Sequence[BatchItem], *args: Any, **options: Any) -> list[ItemOutcome]:
            if items[0].organization_id == WHOSE.organization_id:
                held.set()
                await asyncio.Event().wait()
            return await super().write(items, *args, **options)

    group_commit = GroupCommit(lambda: Held(database), Metrics())
    stuck = await submitted(group_commit, calls(1))
    await held.wait()
    later = await submitted(group_commit, calls(200))
    for one in calls(5, whose=other):
        assert await group_commit.submit(one) == created(one)
    assert not any(task.done() for task in [*stuck, *later])
    for task in (*stuck, *later):
        task.cancel()
    await group_commit.close()


async def test_a_conflict_of_one_organization_gives_its_place_back_and_touches_no_others_calls(database: Database) -> None:
    """With one place for all lanes, the other organization's calls go through while the first one's counter is held."""
    other = caller()
    async with running(database, min_lanes=1, max_lanes=1) as group_commit:
        is_held = True

        def judge(entries: Sequence[BatchItem]) -> Exception | None:
            return WriteConflict() if is_held and entries[0].organization_id == WHOSE.organization_id else None

        database.judge = judge
        waiting = await submitted(group_commit, calls(3))
        for one in calls(20, whose=other):
            assert await group_commit.submit(one) == created(one)
        assert not any(task.done() for task in waiting)
        is_held = False
        await asyncio.gather(*waiting)
    assert database.most_at_work == 1


async def test_as_many_lanes_are_at_work_as_there_are_places(database: Database, metrics: Metrics) -> None:
    async with running(database, metrics, min_lanes=3, max_lanes=3) as group_commit:
        database.may_end.clear()
        submissions = [
            task for whose in (caller() for _ in range(10)) for task in await submitted(group_commit, calls(1, whose=whose))
        ]
        await database.begun.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert metrics.registry.get_sample_value("tether_commit_lanes") == 3
        database.may_end.set()
        await asyncio.gather(*submissions)
        assert database.most_at_work == database.writers == 3
    assert database.writers <= 0, "every connection is closed"


async def test_one_organizations_flood_leaves_room_for_the_others(database: Database) -> None:
    other = caller()
    async with running(database, max_waiting_calls=6, max_waiting_calls_of_one=3) as group_commit:
        await held_first(group_commit, database)
        later = await submitted(group_commit, calls(3))
        with pytest.raises(Unavailable, match="busy with other calls"):
            await group_commit.submit(calls(1)[0])
        others = await submitted(group_commit, calls(3, whose=other))
        database.may_end.set()
        await asyncio.gather(*later, *others)


async def test_past_the_longest_queue_a_call_is_refused_at_once(database: Database) -> None:
    async with running(database, max_waiting_calls=3) as group_commit:
        await held_first(group_commit, database)
        later = await submitted(group_commit, calls(3))
        with pytest.raises(Unavailable, match="busy with other calls") as refused:
            await group_commit.submit(calls(1)[0])
        assert refused.value.limit == "commits"
        database.may_end.set()
        await asyncio.gather(*later)
        await group_commit.submit(calls(1)[0])


# ---------------------------------------------------------------------- what fails


@pytest.mark.parametrize("poison_at", [{0}, {15}, {7}, {3, 4}, {0, 5, 15}, set(range(16))])
async def test_a_call_that_cannot_be_stored_fails_alone(
    group_commit: GroupCommit, database: Database, poison_at: set[int]
) -> None:
    await held_first(group_commit, database)
    entries = calls(16)
    poison = {entries[index].call_id for index in poison_at}
    database.judge = lambda batch: NotStorable() if poison & ids_in(batch) else None
    later = await submitted(group_commit, entries)
    database.may_end.set()
    for index, outcome in enumerate(await asyncio.gather(*later, return_exceptions=True)):
        if index in poison_at:
            assert isinstance(outcome, BadRequest)
            assert "more than the database can store" in str(outcome)
        else:
            assert outcome == created(entries[index])
    assert database.stored[1:] == [one for one in entries if one.call_id not in poison]


async def test_an_unexpected_error_fails_alone_and_says_nothing_of_itself(
    group_commit: GroupCommit, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await held_first(group_commit, database)
    entries = calls(8)
    bad = entries[5].call_id
    database.judge = lambda batch: ZeroDivisionError("swordfish") if bad in ids_in(batch) else None
    later = await submitted(group_commit, entries)
    database.may_end.set()
    outcomes = await asyncio.gather(*later, return_exceptions=True)
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == [outcomes[5]]
    assert isinstance(outcomes[5], TetherError)
    assert outcomes[5].status == 500
    assert "swordfish" not in str(outcomes[5])
    assert "swordfish" in caplog.text


@pytest.mark.parametrize("reason", [WriteConflict(), Unavailable("its reply was lost")])
async def test_a_batch_that_failed_for_a_while_is_written_again_and_every_further_attempt_says_so(
    group_commit: GroupCommit, database: Database, reason: Exception
) -> None:
    database.script = [reason, WriteConflict(), None]
    (one,) = calls(1)
    assert await group_commit.submit(one) == created(one)
    assert database.retries == [False, True, True]
    await group_commit.submit(calls(1)[0])
    assert database.retries[-1] is False


async def test_calls_that_arrive_during_a_retry_go_along_with_it(group_commit: GroupCommit, database: Database) -> None:
    first = await held_first(group_commit, database)
    database.script = [WriteConflict()]
    later = await submitted(group_commit, calls(3))
    database.may_end.set()
    await asyncio.gather(first, *later)
    assert database.sizes == [1, 4]


async def test_after_a_conflict_abandoned_transactions_are_looked_for(database: Database) -> None:
    looked = 0

    async def end_abandoned() -> None:
        nonlocal looked
        looked += 1

    async with running(database, end_abandoned=end_abandoned) as group_commit:
        database.script = [Unavailable("MongoDB is away."), WriteConflict()]
        await group_commit.submit(calls(1)[0])
    assert looked == 1


@pytest.mark.parametrize(
    ("error", "sentence"), [(Unavailable("MongoDB is away."), "MongoDB is away."), (WriteConflict(), "busy with other calls")]
)
async def test_when_the_database_stays_away_everybody_is_told_to_come_again(
    database: Database, error: Exception, sentence: str
) -> None:
    async with running(database, answer_within_s=0.2) as group_commit:
        await held_first(group_commit, database)
        database.judge = lambda batch: error
        later = await submitted(group_commit, calls(10))
        database.may_end.set()
        for outcome in await asyncio.gather(*later, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
            assert outcome.retry_after_s
            assert sentence in str(outcome)
        # Tried again as a whole: halving would only multiply the load on a database that is away.
        assert set(database.sizes[1:]) <= {1, 10, 11}
        assert len(database.sizes) > 2
        assert database.stored == []
        database.judge = lambda batch: None
        (one,) = calls(1)
        assert await group_commit.submit(one) == created(one)
        assert database.stored == [one]


# ---------------------------------------------------------------------- who waits


async def test_a_writer_that_hangs_keeps_nobody_waiting_and_a_call_that_was_refused_is_not_stored(database: Database) -> None:
    async with running(database, answer_within_s=0.05) as group_commit:
        first = await held_first(group_commit, database)
        gave_up = await submitted(group_commit, calls(5, weight_bytes=MAX_BATCH_BYTES))
        for outcome in await asyncio.gather(*gave_up, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        later = await submitted(group_commit, patient := calls(3))
        database.may_end.set()
        assert await asyncio.gather(*later) == [created(one) for one in patient]
        with pytest.raises(Unavailable):
            await first
        assert database.sizes == [1, 3]


async def test_a_caller_who_is_cut_off_does_not_stop_the_commit_of_the_others(
    group_commit: GroupCommit, database: Database
) -> None:
    first = await held_first(group_commit, database)
    later = await submitted(group_commit, calls(3))
    first.cancel()
    later[1].cancel()
    database.may_end.set()
    outcomes = await asyncio.gather(*later, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Created, asyncio.CancelledError, Created]
    assert database.sizes == [1, 2]


# ---------------------------------------------------------------------- the end


async def test_a_drain_waits_for_everything_that_was_taken_and_no_longer(group_commit: GroupCommit, database: Database) -> None:
    await group_commit.drain()
    first = await held_first(group_commit, database)
    later = await submitted(group_commit, [*calls(3), *calls(3, whose=caller())])
    drained = asyncio.create_task(group_commit.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    database.may_end.set()
    await drained
    await asyncio.gather(first, *later)
    assert len(database.stored) == 7
    await group_commit.drain()
