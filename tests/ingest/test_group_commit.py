"""The group commit: who goes together, who is told what, and that nobody waits for ever or is stored behind their back.

The writer is the fault boundary: it does what the test says. With a real MongoDB: `tests/mongo/test_batch_writer.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.entries import caller, entry
from tether_rt.domain.events import CallIds
from tether_rt.errors import BadRequest, TetherError, Unavailable
from tether_rt.ingest import group_commit as module
from tether_rt.ingest.group_commit import Committer
from tether_rt.mongo.batch_plan import Created, Entry, Outcome
from tether_rt.mongo.batch_writer import BatchIsStale, RecordingsNotKept
from tether_rt.mongo.calls import NotStorable
from tether_rt.runtime.metrics import Metrics

WHOSE = caller()


class ScriptedWriter:
    """Keeps what it was asked to write; waits while it is held, then fails as the script says or as `judge` does."""

    def __init__(self) -> None:
        self.batches: list[list[Entry]] = []
        self.again: list[bool] = []
        self.stored: list[Entry] = []
        self.script: list[Exception | None] = []
        self.kept: Sequence[asyncio.Future[None]] = ()
        self.judge: Callable[[Sequence[Entry]], Exception | None] = lambda entries: None
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def write(
        self, entries: Sequence[Entry], *, kept: Sequence[asyncio.Future[None]] = (), again: bool = False
    ) -> list[Outcome]:
        self.kept = kept
        self.batches.append(list(entries))
        self.again.append(again)
        self.begun.set()
        await self.may_end.wait()
        error = self.script.pop(0) if self.script else self.judge(entries)
        if error is not None:
            raise error
        self.stored += entries
        return [created(one) for one in entries]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def created(one: Entry) -> Created:
    return Created(CallIds(one.call_id, "contact", "conversation"))


def calls(count: int, weight_bytes: int = 500) -> list[Entry]:
    return [entry(WHOSE)._replace(elements=bytes(weight_bytes)) for _ in range(count)]


@asynccontextmanager
async def running(committer: Committer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(committer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def writer() -> ScriptedWriter:
    return ScriptedWriter()


@pytest.fixture
async def committer(writer: ScriptedWriter, metrics: Metrics) -> AsyncIterator[Committer]:
    committer = Committer(writer, metrics)
    async with running(committer):
        yield committer


async def submitted(committer: Committer, entries: Sequence[Entry]) -> list[asyncio.Task[Outcome]]:
    """Submit all of them and return once each of them waits."""
    tasks = [asyncio.create_task(committer.submit(one)) for one in entries]
    await asyncio.sleep(0)
    return tasks


async def held_first(committer: Committer, writer: ScriptedWriter) -> asyncio.Task[Outcome]:
    """Return the first call's submission, whose commit is under way until `writer.may_end` is set."""
    writer.may_end.clear()
    (first,) = await submitted(committer, calls(1))
    await writer.begun.wait()
    return first


# ---------------------------------------------------------------------- together


async def test_a_call_that_finds_an_idle_committer_is_committed_at_once_and_alone(
    committer: Committer, writer: ScriptedWriter
) -> None:
    for one in calls(3):
        assert await committer.submit(one) == created(one)
    assert writer.sizes == [1, 1, 1]


async def test_calls_that_arrive_during_a_commit_go_together_by_the_next_in_their_order(
    committer: Committer, writer: ScriptedWriter
) -> None:
    first = await held_first(committer, writer)
    entries = calls(20)
    later = await submitted(committer, entries)
    assert writer.sizes == [1]
    assert not any(task.done() for task in [first, *later])
    writer.may_end.set()
    assert await asyncio.gather(*later) == [created(one) for one in entries]
    assert writer.batches[1:] == [entries]


async def test_it_is_busy_while_many_calls_wait_or_are_committed(committer: Committer, writer: ScriptedWriter) -> None:
    await held_first(committer, writer)
    assert not committer.is_busy
    later = await submitted(committer, calls(4))
    assert committer.is_busy
    seen: list[tuple[int, bool]] = []
    writer.judge = lambda entries: seen.append((len(entries), committer.is_busy))
    writer.may_end.set()
    await asyncio.gather(*later)
    assert seen == [(1, True), (4, True)]  # of the four none waits any more, but none is stored yet
    assert not committer.is_busy


async def test_a_batch_has_a_largest_number_of_calls(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_CALLS", 4)
    await held_first(committer, writer)
    later = await submitted(committer, calls(10))
    writer.may_end.set()
    await asyncio.gather(*later)
    assert writer.sizes == [1, 4, 4, 2]


async def test_of_very_many_calls_half_go_first(committer: Committer, writer: ScriptedWriter) -> None:
    await held_first(committer, writer)
    entries = calls(400)
    later = await submitted(committer, entries)
    writer.may_end.set()
    await asyncio.gather(*later)
    assert writer.sizes == [1, 128, 128, 72, 40, 32]
    assert writer.stored[1:] == entries


async def test_a_batch_has_a_largest_weight_and_what_is_heavier_goes_alone(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_BYTES", 1000)
    await held_first(committer, writer)
    later = await submitted(committer, [*calls(2, 400), *calls(1, 5000), *calls(2, 500), *calls(1, 1)])
    writer.may_end.set()
    await asyncio.gather(*later)
    assert writer.sizes == [1, 2, 1, 2, 1]


async def test_what_is_committed_is_counted(committer: Committer, writer: ScriptedWriter, metrics: Metrics) -> None:
    await held_first(committer, writer)
    later = await submitted(committer, calls(5))
    assert metrics.registry.get_sample_value("tether_commit_queue_calls") == 5
    writer.script = [None, BatchIsStale()]
    writer.may_end.set()
    await asyncio.gather(*later)
    values = {
        name: metrics.registry.get_sample_value(f"tether_commit_{name}")
        for name in ("queue_calls", "batch_calls_sum", "batch_calls_count", "retries_total", "seconds_count")
    }
    expected = {"queue_calls": 0, "batch_calls_sum": 6, "batch_calls_count": 2, "retries_total": 1, "seconds_count": 2}
    assert values == expected


# ---------------------------------------------------------------------- what fails


@pytest.mark.parametrize("poison_at", [{0}, {15}, {7}, {3, 4}, {0, 5, 15}, set(range(16))])
async def test_a_call_that_cannot_be_stored_fails_alone(
    committer: Committer, writer: ScriptedWriter, poison_at: set[int]
) -> None:
    await held_first(committer, writer)
    entries = calls(16)
    poison = {entries[index].call_id for index in poison_at}
    writer.judge = lambda batch: NotStorable() if any(one.call_id in poison for one in batch) else None
    later = await submitted(committer, entries)
    writer.may_end.set()
    for index, outcome in enumerate(await asyncio.gather(*later, return_exceptions=True)):
        if index in poison_at:
            assert isinstance(outcome, BadRequest)
            assert "more than the database can store" in str(outcome)
        else:
            assert outcome == created(entries[index])
    assert writer.stored[1:] == [one for one in entries if one.call_id not in poison]


async def test_an_error_that_nobody_foresaw_fails_alone_and_says_nothing_of_itself(
    committer: Committer, writer: ScriptedWriter, caplog: pytest.LogCaptureFixture
) -> None:
    await held_first(committer, writer)
    entries = calls(8)
    bad = entries[5].call_id
    writer.judge = lambda batch: ZeroDivisionError("swordfish") if any(one.call_id == bad for one in batch) else None
    later = await submitted(committer, entries)
    writer.may_end.set()
    outcomes = await asyncio.gather(*later, return_exceptions=True)
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == [outcomes[5]]
    assert isinstance(outcomes[5], TetherError)
    assert outcomes[5].status == 500
    assert "swordfish" not in str(outcomes[5])
    assert "swordfish" in caplog.text


@pytest.mark.parametrize("reason", [BatchIsStale(), Unavailable("its answer was lost")])
async def test_a_batch_that_failed_for_a_while_is_written_again_and_every_further_try_is_told_so(
    committer: Committer, writer: ScriptedWriter, reason: Exception
) -> None:
    writer.script = [reason, BatchIsStale(), None]
    (one,) = calls(1)
    assert await committer.submit(one) == created(one)
    assert writer.again == [False, True, True]
    await committer.submit(calls(1)[0])
    assert writer.again[-1] is False


async def test_who_was_overtaken_pauses_for_less_than_who_waits_for_mongodb(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def noted(shortest_s: float, longest_s: float) -> float:
        pauses.append(longest_s)
        return shortest_s

    monkeypatch.setattr("random.uniform", noted)
    longest: list[float] = []
    for error in (BatchIsStale(), Unavailable("MongoDB is away.")):
        writer.script = [error] * 10
        await committer.submit(calls(1)[0])
        assert pauses == sorted(pauses)
        longest.append(pauses[-1])
        pauses.clear()
    assert longest == [module._OVERTAKEN_PAUSE_S, module._LONGEST_PAUSE_S]


@pytest.mark.parametrize(
    ("error", "told"), [(Unavailable("MongoDB is away."), "MongoDB is away."), (BatchIsStale(), "busy with other calls")]
)
async def test_when_the_database_stays_away_everybody_is_told_to_come_again(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setattr(module, "RETRY_FOR_S", 0.05)
    await held_first(committer, writer)
    later = await submitted(committer, calls(10))
    writer.judge = lambda batch: error
    writer.may_end.set()
    for outcome in await asyncio.gather(*later, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
        assert outcome.retry_after_s
        assert told in str(outcome)
    # Tried again as a whole: halving it would only multiply the load on a database that is away.
    assert set(writer.sizes) == {1, 10}
    assert writer.stored == []
    writer.judge = lambda batch: None
    (one,) = calls(1)
    assert await committer.submit(one) == created(one)


async def test_a_recording_that_is_late_or_lost_is_its_own_calls_alone(committer: Committer, writer: ScriptedWriter) -> None:

    def judge(_: object) -> Exception | None:
        return None if all(one.done() and one.exception() is None for one in writer.kept) else RecordingsNotKept()

    writer.judge = judge
    await held_first(committer, writer)
    safe, late, lost, lost_later = (asyncio.get_running_loop().create_future() for _ in range(4))
    safe.set_result(None)
    lost.set_exception(Unavailable("The disk is full."))
    entries = calls(5)
    recordings = zip(entries, [safe, late, lost, lost_later, None], strict=True)
    waiting = [asyncio.create_task(committer.submit(one, kept=kept)) for one, kept in recordings]
    await asyncio.sleep(0)
    writer.may_end.set()
    assert [await waiting[0], await waiting[4]] == [created(entries[0]), created(entries[4])]
    with pytest.raises(Unavailable, match="The disk is full"):
        await waiting[2]
    assert not waiting[1].done()
    assert not waiting[3].done()
    lost_later.set_exception(Unavailable("The disk is away."))
    with pytest.raises(Unavailable, match="The disk is away"):
        await waiting[3]
    late.set_result(None)
    assert await waiting[1] == created(entries[1])
    assert writer.sizes == [1, 4, 2, 1]


# ---------------------------------------------------------------------- who waits


async def test_a_writer_that_hangs_keeps_nobody_waiting_and_who_gave_up_is_not_stored(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await held_first(committer, writer)
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.02)
    gave_up = await submitted(committer, calls(5, weight_bytes=module.MAX_BATCH_BYTES))
    for outcome in await asyncio.gather(*gave_up, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 30)
    patient = calls(3)
    later = await submitted(committer, patient)
    writer.may_end.set()
    assert await asyncio.gather(*later) == [created(one) for one in patient]
    assert (await first) == created(writer.batches[0][0])
    assert writer.sizes == [1, 3]


async def test_a_caller_who_is_cut_off_does_not_stop_the_commit_of_the_others(
    committer: Committer, writer: ScriptedWriter
) -> None:
    first = await held_first(committer, writer)
    later = await submitted(committer, calls(3))
    first.cancel()
    later[1].cancel()
    writer.may_end.set()
    outcomes = await asyncio.gather(*later, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Created, asyncio.CancelledError, Created]
    assert writer.sizes == [1, 2]


async def test_past_the_longest_queue_a_call_is_refused_at_once(
    committer: Committer, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_CALLS", 3)
    await held_first(committer, writer)
    later = await submitted(committer, calls(3))
    with pytest.raises(Unavailable, match="busy with other calls"):
        await committer.submit(calls(1)[0])
    writer.may_end.set()
    await asyncio.gather(*later)
    await committer.submit(calls(1)[0])


# ---------------------------------------------------------------------- the end


async def test_a_drain_waits_for_everything_that_was_taken_and_no_longer(committer: Committer, writer: ScriptedWriter) -> None:
    await committer.drain()
    first = await held_first(committer, writer)
    later = await submitted(committer, calls(3))
    drained = asyncio.create_task(committer.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    writer.may_end.set()
    await drained
    await asyncio.gather(first, *later)
    assert len(writer.stored) == 4
    await committer.drain()


async def test_calls_that_waited_when_the_loop_fell_are_committed_when_it_is_begun_again(
    writer: ScriptedWriter, metrics: Metrics
) -> None:
    committer = Committer(writer, metrics)
    writer.may_end.clear()
    async with running(committer):
        (lost,) = await submitted(committer, calls(1))
        await writer.begun.wait()
        entries = calls(4)
        later = await submitted(committer, entries)
    lost.cancel()  # its commit was cut off in the middle: its caller hears so when the time for an answer is over
    writer.may_end.set()
    async with running(committer):
        assert await asyncio.gather(*later) == [created(one) for one in entries]
        await committer.drain()
