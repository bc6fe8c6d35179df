"""Small recordings share a flush: together, each with its own outcome, and without risk to one that is stored already."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tether_rt.errors import Unavailable
from tether_rt.recordings import fsync
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.disk import MAX_GROUP_BYTES, SMALL_BYTES, DiskStore
from tether_rt.recordings.store import recording_key


def key(number: int) -> str:
    return recording_key("a" * 24, f"{number:064x}", MP3)


class Disk:
    """The flush of a file system, which can be held up, made to fail, and counted."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.flushes = 0
        self.error: OSError | None = None

    def flush(self, descriptor: int) -> None:
        self.flushes += 1
        self.begun.release()
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        os.fsync(descriptor)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def store(tmp_path: Path, disk: Disk) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path, min_free_bytes=0, flush_file_system=disk.flush)
    await store.start()
    yield store
    await store.close()


async def put(store: DiskStore, number: int) -> None:
    await store.put(key(number), b"%d" % number, "audio/mpeg")


async def put_all(store: DiskStore, numbers: range) -> list[BaseException | None]:
    return await asyncio.gather(*(put(store, number) for number in numbers), return_exceptions=True)


async def held_up(store: DiskStore, disk: Disk, number: int) -> asyncio.Task[None]:
    """Put a recording, and return while its flush is held up."""
    disk.go_on.clear()
    first = asyncio.create_task(put(store, number))
    await asyncio.to_thread(disk.begun.acquire)
    return first


async def test_recordings_that_arrive_during_a_flush_share_the_next_one(store: DiskStore, disk: Disk, tmp_path: Path) -> None:
    first = await held_up(store, disk, 0)
    others = asyncio.create_task(put_all(store, range(1, 40)))
    await asyncio.sleep(0)
    assert not first.done()
    disk.go_on.set()
    await first
    assert await others == [None] * 39
    assert disk.flushes == 2
    assert [(tmp_path / key(number)).read_bytes() for number in range(40)] == [b"%d" % number for number in range(40)]


async def test_a_group_has_a_bound_and_the_rest_waits_for_the_next(store: DiskStore, disk: Disk) -> None:
    first = await held_up(store, disk, 0)
    numbers = range(1, 1 + 2 * MAX_GROUP_BYTES // SMALL_BYTES)
    others = asyncio.gather(*(store.put(key(number), bytes(SMALL_BYTES), "audio/mpeg") for number in numbers))
    await asyncio.sleep(0)
    disk.go_on.set()
    await first
    await others
    assert disk.flushes == 3


async def test_one_that_cannot_be_written_does_not_fail_its_neighbours(store: DiskStore, disk: Disk, tmp_path: Path) -> None:
    (tmp_path / key(1)).mkdir(parents=True)  # where the file is to be
    first = await held_up(store, disk, 9)
    others = asyncio.create_task(put_all(store, range(3)))
    await asyncio.sleep(0)
    disk.go_on.set()
    await first
    outcomes = await others
    assert [type(outcome) for outcome in outcomes] == [type(None), Unavailable, type(None)]
    assert (tmp_path / key(0)).read_bytes() == b"0"
    assert (tmp_path / key(2)).read_bytes() == b"2"


async def test_a_flush_that_fails_refuses_every_recording_of_its_group_and_the_next_works(store: DiskStore, disk: Disk) -> None:
    disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
    outcomes = await put_all(store, range(5))
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    disk.error = None
    assert await put_all(store, range(5)) == [None] * 5


async def test_a_caller_who_has_left_does_not_hold_up_the_others(store: DiskStore, disk: Disk) -> None:
    first = await held_up(store, disk, 0)
    leaves = asyncio.create_task(put(store, 1))
    stays = asyncio.create_task(put(store, 2))
    await asyncio.sleep(0)
    leaves.cancel()
    disk.go_on.set()
    await first
    await stays
    assert leaves.cancelled()


async def test_a_recording_that_a_call_has_already_is_left_as_it_is(store: DiskStore, disk: Disk, tmp_path: Path) -> None:
    await store.put(key(0), b"the same", "audio/mpeg")
    before = (tmp_path / key(0)).stat().st_ino
    await store.put(key(0), b"the same", "audio/mpeg")
    assert (tmp_path / key(0)).stat().st_ino == before
    await store.put(key(0), b"the same, but longer", "audio/mpeg")  # the key names the content: what was there was broken
    assert (tmp_path / key(0)).read_bytes() == b"the same, but longer"
    assert disk.flushes == 3  # each is flushed, also the one that was there: another process may have just written it


async def test_where_file_systems_cannot_be_flushed_each_recording_and_its_directory_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)  # nothing else shows what would survive a power cut
    store = DiskStore(tmp_path, min_free_bytes=0, flush_file_system=None)
    await store.start()
    assert await put_all(store, range(3)) == [None] * 3
    assert len([path for path in flushed if "/.unfinished/" in path]) == 3
    assert {str((tmp_path / key(number)).parent) for number in range(3)} <= set(flushed)
    await store.close()


async def test_a_flush_of_the_file_system_says_what_failed(tmp_path: Path) -> None:
    assert fsync.flush_file_system is not None
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fsync.flush_file_system(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        fsync.flush_file_system(descriptor)


async def test_a_disk_that_hangs_is_503_for_every_small_recording_and_used_again_when_it_answers(
    tmp_path: Path, disk: Disk
) -> None:
    store = DiskStore(tmp_path, min_free_bytes=0, flush_file_system=disk.flush, hung_after_s=0.2, small_put_s=0.2)
    await store.start()
    disk.go_on.clear()
    for numbers in (range(300), range(300, 600)):
        outcomes = await put_all(store, numbers)
        assert {str(outcome) for outcome in outcomes} == {
            "The recording folder did not answer in time; send the request again."
        }
        assert all(isinstance(outcome, Unavailable) and outcome.retry_after_s for outcome in outcomes)
    disk.go_on.set()
    while await put_all(store, range(5)) != [None] * 5:
        pass
    await store.close()
