"""The process that writes small recordings: it outlives signals, not its server, and nobody misses it when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hub.harness import eventually
from tests.support.writers import writers_of
from tether_rt.errors import Unavailable
from tether_rt.recordings import writer as module
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.fsync import FLUSHES_FILE_SYSTEMS
from tether_rt.recordings.recording_dir import RecordingDir
from tether_rt.recordings.store import recording_key

assert FLUSHES_FILE_SYSTEMS  # what these tests are about is for Linux


def key(number: int) -> str:
    return recording_key("a" * 24, f"{number:064x}", MP3)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
async def others() -> set[int]:
    """The writers of servers that the tests share."""
    return set(writers_of(os.getpid()))


@pytest.fixture
async def store(others: set[int], tmp_path: Path) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path, min_free_bytes=0)
    await store.start()
    yield store
    await store.close()


@pytest.fixture
def writer(store: DiskStore, others: set[int]) -> int:
    (pid,) = set(writers_of(os.getpid())) - others
    return pid


async def put(store: DiskStore, number: int) -> None:
    await store.put(key(number), b"%d" % number, "audio/mpeg")


def held_by(tmp_path: Path, numbers: range) -> list[bytes]:
    return [(tmp_path / key(number)).read_bytes() for number in numbers]


async def test_it_does_not_end_when_all_of_a_servers_processes_are_signalled(store: DiskStore, writer: int) -> None:
    await put(store, 0)  # it has begun to work, and to listen to no signal
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(writer, number)
    await put(store, 1)
    assert is_running(writer)


async def test_a_group_that_it_had_when_it_was_killed_is_safe_all_the_same(
    store: DiskStore, writer: int, others: set[int], tmp_path: Path
) -> None:
    await put(store, 0)
    os.kill(writer, signal.SIGSTOP)
    putting = asyncio.gather(*(put(store, number) for number in range(1, 9)))
    done, _ = await asyncio.wait({putting}, timeout=0.2)
    assert not done
    os.kill(writer, signal.SIGKILL)
    await putting
    assert held_by(tmp_path, range(9)) == [b"%d" % number for number in range(9)]
    assert set(writers_of(os.getpid())) == others

    await put(store, 9)  # not at once: one that dies of what it does would be started for every recording
    assert set(writers_of(os.getpid())) == others
    store._writer._not_before_s = 0.0  # as if that time had passed
    await put(store, 10)
    assert len(set(writers_of(os.getpid())) - others) == 1
    assert held_by(tmp_path, range(11)) == [b"%d" % number for number in range(11)]


async def test_it_runs_nothing_that_lies_in_the_folder_where_the_server_was_started(
    others: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    store = DiskStore(tmp_path, min_free_bytes=0)
    await store.start()
    await put(store, 0)
    assert len(set(writers_of(os.getpid())) - others) == 1
    await store.close()


async def test_where_no_process_can_be_started_a_thread_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    store = DiskStore(tmp_path, min_free_bytes=0)
    await store.start()
    await asyncio.gather(*(put(store, number) for number in range(3)))
    assert held_by(tmp_path, range(3)) == [b"0", b"1", b"2"]
    await store.close()


async def test_what_goes_wrong_is_told_as_if_it_had_gone_wrong_here(
    store: DiskStore, writer: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / key(1)).mkdir(parents=True)  # where the file is to be
    outcomes = await asyncio.gather(*(put(store, number) for number in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Unavailable, type(None)]
    (tmp_path / "recordings" / ".unfinished").rmdir()  # as if the volume were unmounted
    outcomes = await asyncio.gather(*(put(store, number) for number in range(3, 6)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert "the recording folder failed: No such file or directory" in caplog.text
    assert is_running(writer)


async def test_it_ends_with_the_store(store: DiskStore, writer: int) -> None:
    await put(store, 0)
    await store.close()
    assert not is_running(writer)
    await store.close()


async def test_a_recording_that_comes_after_the_end_starts_no_other(store: DiskStore, others: set[int]) -> None:
    await store._writer.close()
    await put(store, 0)
    assert set(writers_of(os.getpid())) == others


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tether_rt.cli import run_on_fast_loop
from tether_rt.recordings.disk import DiskStore

async def main():
    keys = iter(sys.argv[2:])
    store = DiskStore(Path(sys.argv[1]), min_free_bytes=0)
    await store.start()
    for pause_s in (0.5, 0.0):
        await store.put(next(keys), b"before", "audio/mpeg")
        os.kill(store._writer._process.pid, signal.SIGKILL)
        await asyncio.sleep(pause_s)  # until its end was noticed, or not at all
        await store.put(next(keys), b"after", "audio/mpeg")
        assert store._writer._process is None
        store._writer._not_before_s = 0.0
    await store.put(next(keys), b"before", "audio/mpeg")
    os.kill(store._writer._process.pid, signal.SIGSTOP)
    putting = asyncio.gather(*(store.put(key, bytes(200_000), "audio/mpeg") for key in keys))
    await asyncio.sleep(0.2)
    os.kill(store._writer._process.pid, signal.SIGKILL)
    await putting
    await store.close()
    return 0

sys.exit(run_on_fast_loop(main()))
"""


async def test_nobody_misses_it_on_the_event_loop_that_servers_have_either(tmp_path: Path) -> None:
    command = (sys.executable, "-c", _KILLED, str(tmp_path), *map(key, range(25)))
    server = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    _, said = await server.communicate()
    assert (server.returncode, said.decode().count("Traceback")) == (0, 0), said.decode()
    assert held_by(tmp_path, range(25)) == [*[b"before", b"after"] * 2, b"before", *[bytes(200_000)] * 20]


_SERVER = """
import asyncio, sys
from pathlib import Path
from tether_rt.recordings.disk import DiskStore

async def main():
    store = DiskStore(Path(sys.argv[1]), min_free_bytes=0)
    await store.start()
    await store.put(sys.argv[2], b"0", "audio/mpeg")
    print("stored", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_it_ends_with_a_server_that_was_killed(tmp_path: Path) -> None:
    command = (sys.executable, "-c", _SERVER, str(tmp_path), key(0))
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert await server.stdout.readline() == b"stored\n"
    (writer,) = writers_of(server.pid)
    server.kill()
    await server.wait()
    await eventually(lambda: not is_running(writer))


def test_who_dies_before_the_answer_leaves_its_recording_whole_and_no_trace_in_the_log(tmp_path: Path) -> None:
    RecordingDir(tmp_path).prepare()
    command = (sys.executable, "-m", module.__name__, str(tmp_path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.close()
        _, errors = writer.communicate(module.group_message([(str(tmp_path / key(0)), b"0")]), 30)
    assert (writer.returncode, errors) == (0, b"")
    assert held_by(tmp_path, range(1)) == [b"0"]
