from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from tests.support import audio
from tests.support.hung_disk import hang, let_go
from tests.support.small_disk import small_disk
from tether_rt.errors import NotFound, Unavailable
from tether_rt.recordings import partial_files
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.store import PIECE_BYTES, recording_key

KEY = recording_key("a" * 24, "b" * 64, MP3)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path / "data", min_free_bytes=0)
    await store.start()
    yield store
    await store.close()


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def open_files(root: Path) -> list[Path]:
    return [path for path in map(Path.resolve, Path("/proc/self/fd").iterdir()) if path.is_relative_to(root)]


async def read(store: DiskStore, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in store.read(KEY, start, end)])


async def test_bytes_come_back_as_they_were_put(store: DiskStore, tmp_path: Path) -> None:
    await store.put(KEY, b"0123456789", "audio/mpeg")
    assert await read(store, 0, 10) == b"0123456789"
    assert await read(store, 3, 5) == b"34"
    assert await read(store, 8, 100) == b"89"
    assert await store.url(KEY, "audio/mpeg", 600) is None
    assert files(tmp_path / "data") == [tmp_path / "data" / KEY]


async def test_a_large_recording_is_read_in_small_pieces(store: DiskStore) -> None:
    recording = os.urandom(PIECE_BYTES * 2 + 1)
    await store.put(KEY, recording, "audio/mpeg")
    pieces = [piece async for piece in store.read(KEY, 0, len(recording))]
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, PIECE_BYTES, 1]
    assert b"".join(pieces) == recording


async def test_a_file_is_moved_within_its_file_system_and_copied_from_another(store: DiskStore, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.write_bytes(b"near")
    await store.put(KEY, near, "audio/mpeg")
    assert await read(store, 0, 10) == b"near"
    assert not near.exists()
    with small_disk(tmp_path / "elsewhere", 1_000_000) as elsewhere:
        far = elsewhere / "far"
        far.write_bytes(b"far")
        await store.put(KEY, far, "audio/mpeg")
        assert await read(store, 0, 10) == b"far"


async def test_a_second_put_replaces_and_readers_of_the_first_keep_theirs(store: DiskStore) -> None:
    await store.put(KEY, b"1" * PIECE_BYTES * 2, "audio/mpeg")
    reader = store.read(KEY, 0, PIECE_BYTES * 2)
    first = await anext(reader)
    await store.put(KEY, b"2" * 10, "audio/mpeg")
    assert first + b"".join([piece async for piece in reader]) == b"1" * PIECE_BYTES * 2
    assert await read(store, 0, 100) == b"2" * 10


async def test_a_recording_that_is_not_there_is_not_found(store: DiskStore) -> None:
    with pytest.raises(NotFound):
        await read(store, 0, 1)


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "recordings/../../etc/passwd",
        f"recordings/{'a' * 24}/../{'b' * 64}.mp3",
        f"recordings/{'a' * 24}/{'b' * 64}.exe",
        f"recordings/{'a' * 24}/{'b' * 64}.mp3/../x",
        f"recordings/{'A' * 24}/{'b' * 64}.mp3",
        f"recordings/{'a' * 24}/{'b' * 64}.mp3\n",
        f"/recordings/{'a' * 24}/{'b' * 64}.mp3",
        "",
        "recordings/.unfinished/x.part",
    ],
)
async def test_no_key_leads_out_of_the_store(store: DiskStore, key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the key"):
        await store.put(key, b"x", "audio/mpeg")
    with pytest.raises(ValueError, match="not the key"):
        await anext(store.read(key, 0, 1))
    with pytest.raises(ValueError, match="not the key"):
        await store.url(key, "audio/mpeg", 1)
    assert files(tmp_path) == []


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
async def test_a_full_disk_is_reported_and_leaves_no_partial_file(tmp_path: Path, as_file: bool) -> None:
    recording = audio.mp3_of(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(recording)
    with small_disk(tmp_path / "data", 1_000_000) as root:
        store = DiskStore(root, min_free_bytes=0)
        await store.start()
        await store.put(KEY, b"before", "audio/mpeg")
        with pytest.raises(Unavailable, match="full") as refusal:
            await store.put(KEY, source if as_file else recording, "audio/mpeg")
        assert str(tmp_path) not in str(refusal.value)
        assert refusal.value.retry_after_s
        assert files(root) == [root / KEY]
        assert await read(store, 0, 100) == b"before"
        await store.put(recording_key("a" * 24, "c" * 64, MP3), b"small ones still fit", "audio/mpeg")
        await store.check()
        await store.close()


async def test_check_fails_when_space_is_low(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, min_free_bytes=1 << 62)
    await store.start()
    with pytest.raises(Unavailable, match="almost full"):
        await store.check()
    assert files(tmp_path) == []
    await store.close()


async def test_a_folder_that_is_gone_is_reported_and_used_when_it_is_back(store: DiskStore, tmp_path: Path) -> None:
    await store.check()
    (tmp_path / "data").rename(tmp_path / "away")
    for call in (store.check(), store.put(KEY, b"x", "audio/mpeg")):
        with pytest.raises(Unavailable) as refusal:
            await call
        assert str(tmp_path) not in str(refusal.value)
    assert not (tmp_path / "data").exists()
    (tmp_path / "away").rename(tmp_path / "data")
    await store.check()
    await store.put(KEY, b"x", "audio/mpeg")


async def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    store = DiskStore(tmp_path / "file" / "data")
    with pytest.raises(Unavailable):
        await store.start()
    await store.close()


WRITER = """
import sys, pathlib
from tether_rt.recordings import partial_files
descriptor, path = partial_files.create(pathlib.Path(sys.argv[1]))
print(path, flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_s_file_is_swept_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        dead, living = (Path(writer.stdout.readline().strip()) for writer in writers if writer.stdout)
        writers[0].kill()
        writers[0].wait()
        assert partial_files.sweep(tmp_path) == 0, "files this young are left alone"
        for path in (dead, living):
            os.utime(path, (0, 0))
        assert partial_files.sweep(tmp_path) == 1
        assert files(tmp_path) == [living]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


async def test_start_removes_partial_files(tmp_path: Path) -> None:
    left_over = tmp_path / "recordings" / ".unfinished" / "0123.part"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half")
    os.utime(left_over, (0, 0))
    store = DiskStore(tmp_path)
    await store.start()
    assert files(tmp_path) == []
    await store.close()


async def test_a_cancelled_put_leaves_nothing_half_written(store: DiskStore, tmp_path: Path) -> None:
    recording = audio.mp3_of(20_000_000)
    task = asyncio.create_task(store.put(KEY, recording, "audio/mpeg"))
    await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.close()
    assert [path.read_bytes() for path in files(tmp_path)] in ([], [recording])


async def test_a_disk_that_hangs_is_503_for_everything_and_takes_no_more_threads(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "data", min_free_bytes=0, hung_after_s=0.2, small_put_s=0.2)
    await store.start()
    await store.put(KEY, b"0123456789", "audio/mpeg")
    source = tmp_path / "source"
    hang(source)
    for _ in range(2):
        outcomes = await asyncio.gather(
            *(store.put(KEY, source, "audio/mpeg") for _ in range(20)), store.check(), return_exceptions=True
        )
        assert {str(outcome) for outcome in outcomes} == {
            "The recording folder did not answer in time; send the request again."
        }
        assert all(isinstance(outcome, Unavailable) and outcome.retry_after_s for outcome in outcomes)
    for call in (store.check(), read(store, 0, 10), store.put(KEY, b"small", "audio/mpeg")):
        with pytest.raises(Unavailable, match="did not answer in time"):
            await call
    async with asyncio.timeout(30):
        while True:
            let_go(source)
            with suppress(Unavailable):
                await store.check()
                break
    await store.put(KEY, b"0123456789", "audio/mpeg")
    assert await read(store, 0, 10) == b"0123456789"
    await store.close()


async def test_a_reader_that_leaves_at_any_moment_leaves_no_file_open(store: DiskStore, tmp_path: Path) -> None:
    await store.put(KEY, audio.mp3_of(1_000_000), "audio/mpeg")

    async def read_on() -> None:
        async with aclosing(store.read(KEY, 0, 1_000_000)) as pieces:
            async for _ in pieces:
                pass

    for turns in range(100):
        reader = asyncio.create_task(read_on())
        for _ in range(turns % 10 + 1):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    await store.close()
    assert open_files(tmp_path) == []


async def test_the_same_recording_from_many_at_once_is_kept_once(store: DiskStore, tmp_path: Path) -> None:
    recording = audio.mp3_of(1_000_000)
    await asyncio.gather(*(store.put(KEY, recording, "audio/mpeg") for _ in range(20)))
    assert files(tmp_path) == [tmp_path / "data" / KEY]
    assert await read(store, 0, len(recording)) == recording
