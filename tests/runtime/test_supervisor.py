"""Long-lived work: begun again when it fails, ended when it is told to, never left behind."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import pytest

from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.supervisor import Supervisor

QUICK: Final = Backoff(0.001, 0.01)
"""Waits that a test need not sit through."""


async def test_work_that_fails_is_logged_and_begun_again_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0
    through = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise ValueError(f"failure {runs}")
        through.set()

    supervisor = Supervisor(QUICK)
    supervisor.add("work", run)
    await through.wait()
    await supervisor.close()
    assert runs == 4
    fields = [record.fields for record in caplog.records if record.name == "tether.supervisor"]  # type: ignore[attr-defined]
    assert [field["task"] for field in fields] == ["work"] * 3
    assert "failure 3" in caplog.text


async def test_one_that_fails_leaves_the_others_alone() -> None:
    beats = asyncio.Semaphore(0)

    async def steady() -> None:
        while True:
            beats.release()
            await asyncio.sleep(0)

    async def failing() -> None:
        raise ValueError

    supervisor = Supervisor(QUICK)
    supervisor.add("failing", failing)
    supervisor.add("steady", steady)
    for _ in range(100):
        await beats.acquire()
    await supervisor.close()


async def test_closing_ends_everything_whatever_it_is_doing_and_may_be_done_twice() -> None:
    ended: list[str] = []
    begun = asyncio.Event()

    async def working() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("working")

    async def failing() -> None:
        raise ValueError

    supervisor = Supervisor(QUICK)
    supervisor.add("working", working)
    supervisor.add("failing", failing)
    await begun.wait()
    await supervisor.close()
    assert ended == ["working"]
    assert {"working", "failing"}.isdisjoint(task.get_name() for task in asyncio.all_tasks())
    await supervisor.close()


async def test_work_that_fails_while_it_is_ended_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("it broke on the way out") from None

    supervisor = Supervisor(QUICK)
    supervisor.add("stubborn", stubborn)
    await begun.wait()
    await supervisor.close()
    (record,) = (record for record in caplog.records if record.name == "tether.supervisor")
    assert "it broke on the way out" in record.fields["reason"]  # type: ignore[attr-defined]
    assert record.levelno == logging.ERROR


async def test_work_that_is_done_is_not_begun_again() -> None:
    runs = 0
    done = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        done.set()

    supervisor = Supervisor(QUICK)
    supervisor.add("short", run)
    await done.wait()
    await asyncio.sleep(0.02)
    await supervisor.close()
    assert runs == 1
