"""Small recordings share a flush: together, each with its own fate, and never at the price of one that is safe already."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tether_rt.errors import Unavailable
from tether_rt.recordings import disk, fsync, recording_dir, write_groups
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.store import recording_key


def key(number: int) -> str:
    return recording_key("a" * 24, f"{number:064x}", MP3)


class Flushes:
    """The flush of the file system, which can be held up, made to fail, and counted."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.count = 0
        self.error: OSError | None = None

    def __call__(self, descriptor: int) -> None:
        self.count += 1
        self.begun.release()
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        os.fsync(descriptor)  # where there is no syncfs(2), what these tests say about the groups holds as well


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    made = Flushes()
    monkeypatch.setattr(disk, "FLUSHES_FILE_SYSTEMS", True)
    monkeypatch.setattr(recording_dir, "flush_file_system", made)
    monkeypatch.setattr(sys, "executable", "/nowhere")  # with no process that writes, a thread of this one does
    return made


@pytest.fixture
async def store(tmp_path: Path, flushes: Flushes) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path, min_free_bytes=0)
    await store.start()
    yield store
    await store.close()


async def put_all(store: DiskStore, numbers: range) -> list[BaseException | None]:
    puts = [store.put(key(number), b"%d" % number, "audio/mpeg") for number in numbers]
    return await asyncio.gather(*puts, return_exceptions=True)


async def test_those_that_arrive_during_a_flush_share_the_next_one(store: DiskStore, flushes: Flushes, tmp_path: Path) -> None:
    flushes.go_on.clear()
    first = asyncio.create_task(store.put(key(0), b"0", "audio/mpeg"))
    await asyncio.to_thread(flushes.begun.acquire)
    others = asyncio.create_task(put_all(store, range(1, 40)))
    await asyncio.sleep(0)
    assert not first.done()
    flushes.go_on.set()
    await first
    assert await others == [None] * 39
    assert flushes.count == 2
    assert [(tmp_path / key(number)).read_bytes() for number in range(40)] == [b"%d" % number for number in range(40)]


async def test_a_group_has_a_bound_and_the_rest_waits_for_the_next(store: DiskStore, flushes: Flushes) -> None:
    flushes.go_on.clear()
    first = asyncio.create_task(store.put(key(0), b"0", "audio/mpeg"))
    await asyncio.to_thread(flushes.begun.acquire)
    large = [store.put(key(number), bytes(250_000), "audio/mpeg") for number in range(1, 33)]  # 8 MB
    others = asyncio.gather(*large)
    await asyncio.sleep(0)
    flushes.go_on.set()
    await first
    await others
    assert flushes.count == 3


async def test_nobody_is_told_that_it_will_be_soon_while_a_flush_takes_longer_than_usual(
    store: DiskStore, flushes: Flushes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.start_put(key(0), bytes(4_000_000)) is None
    flushes.go_on.clear()
    first = store.start_put(key(1), b"1")
    await asyncio.to_thread(flushes.begun.acquire)
    monkeypatch.setattr(write_groups, "_USUAL_S", 60)
    second = store.start_put(key(2), b"2")
    assert first is not None
    assert second is not None
    monkeypatch.setattr(write_groups, "_USUAL_S", 0)
    assert store.start_put(key(3), b"3") is None
    flushes.go_on.set()
    await asyncio.gather(first, second)
    again = store.start_put(key(3), b"3")
    assert again is not None
    await again
    assert [(tmp_path / key(number)).exists() for number in range(4)] == [False, True, True, True]


async def test_one_that_cannot_be_written_does_not_take_its_neighbours_down(
    store: DiskStore, flushes: Flushes, tmp_path: Path
) -> None:
    (tmp_path / key(1)).mkdir(parents=True)  # where the file is to be
    flushes.go_on.clear()
    first = asyncio.create_task(store.put(key(9), b"9", "audio/mpeg"))
    await asyncio.to_thread(flushes.begun.acquire)
    others = asyncio.create_task(put_all(store, range(3)))
    await asyncio.sleep(0)
    flushes.go_on.set()
    await first
    outcomes = await others
    assert [type(outcome) for outcome in outcomes] == [type(None), Unavailable, type(None)]
    assert flushes.count == 2
    assert (tmp_path / key(0)).read_bytes() == b"0"
    assert (tmp_path / key(2)).read_bytes() == b"2"


async def test_a_flush_that_fails_refuses_everyone_who_relied_on_it_and_the_next_works(
    store: DiskStore, flushes: Flushes
) -> None:
    flushes.error = OSError(errno.EIO, os.strerror(errno.EIO))
    outcomes = await put_all(store, range(5))
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    flushes.error = None
    assert await put_all(store, range(5)) == [None] * 5


async def test_a_caller_who_has_left_does_not_hold_up_the_others(store: DiskStore, flushes: Flushes) -> None:
    flushes.go_on.clear()
    first = asyncio.create_task(store.put(key(0), b"0", "audio/mpeg"))
    await asyncio.to_thread(flushes.begun.acquire)
    leaves = asyncio.create_task(store.put(key(1), b"1", "audio/mpeg"))
    stays = asyncio.create_task(store.put(key(2), b"2", "audio/mpeg"))
    await asyncio.sleep(0)
    leaves.cancel()
    flushes.go_on.set()
    await first
    await stays
    assert leaves.cancelled()


async def test_one_that_a_call_has_already_is_left_as_it_is(store: DiskStore, flushes: Flushes, tmp_path: Path) -> None:
    await store.put(key(0), b"the same", "audio/mpeg")
    before = (tmp_path / key(0)).stat().st_ino
    await store.put(key(0), b"the same", "audio/mpeg")
    assert (tmp_path / key(0)).stat().st_ino == before
    await store.put(key(0), b"the same, but longer", "audio/mpeg")  # the key names the content: what was there was broken
    assert (tmp_path / key(0)).read_bytes() == b"the same, but longer"
    assert flushes.count == 3  # each is flushed, also the one that was there: another process may have just written it


async def test_where_file_systems_cannot_be_flushed_each_recording_is_and_its_folder(
    store: DiskStore, flushes: Flushes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(disk, "FLUSHES_FILE_SYSTEMS", False)
    fsync = os.fsync

    def spied(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spied)
    assert await put_all(store, range(3)) == [None] * 3
    assert flushes.count == 0
    assert len([path for path in flushed if "/.unfinished/" in path]) == 3
    assert {str((tmp_path / key(number)).parent) for number in range(3)} <= set(flushed)


async def test_a_flush_of_the_file_system_says_what_failed(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fsync.flush_file_system(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        fsync.flush_file_system(descriptor)
