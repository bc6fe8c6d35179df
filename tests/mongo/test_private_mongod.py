from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from tests.support.full_disk import full_disk
from tether_rt.errors import ConfigError
from tether_rt.mongo import mongod_process
from tether_rt.mongo.private_mongod import PrivateMongod

Client = AsyncIOMotorClient[dict[str, Any]]

OWNER = """
import asyncio, pathlib, sys
from tether_rt.mongo.private_mongod import PrivateMongod

async def main():
    private = PrivateMongod(pathlib.Path(sys.argv[1]))
    await private.start()
    print(private.pid, flush=True)
    await private.run()

asyncio.run(main())
"""


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[tuple[PrivateMongod, Client]]:
    """A mongod that is kept running as the server keeps it, with a client."""
    private = PrivateMongod(data_dir)
    client: Client = AsyncIOMotorClient(await private.start())
    keeper = asyncio.create_task(private.run())
    try:
        yield private, client
    finally:
        client.close()
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await private.stop()


@asynccontextmanager
async def owner_process(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process that owns the mongod of `data_dir`; yields it and its mongod's pid."""
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(data_dir), stdout=asyncio.subprocess.PIPE)
    try:
        assert owner.stdout is not None
        yield owner, int(await owner.stdout.readline())
    finally:
        if owner.returncode is None:
            owner.kill()
        await owner.communicate()


async def eventually(true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            result = true()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _target(link: Path | str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since the directory was read
        return ""


def network_sockets(pid: int | None) -> set[str]:
    open_files = {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return open_files & {f"socket:[{row[9]}]" for row in rows}


def listening_paths(pid: int | None) -> set[str]:
    open_files = {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    # State 01 is one that listens; those it accepted have its path too (proc(5)).
    return {row[7] for row in rows if f"socket:[{row[6]}]" in open_files and row[5] == "01" and len(row) > 7}


def writes(client: Client) -> Callable[[], Awaitable[bool]]:
    async def write() -> bool:
        try:
            await client.t.things.insert_one({})
        except PyMongoError:
            return False
        return True

    return write


async def test_it_is_a_replica_set_with_transactions_and_change_streams(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        hello = await client.admin.command("hello")
        assert hello["setName"] == "tether"
        assert hello["isWritablePrimary"]
        await client.t.create_collection("things")
        async with client.t.things.watch() as stream:
            async with await client.start_session() as session, session.start_transaction():
                await client.t.things.insert_one({"_id": 1}, session=session)
            change = await stream.next()
        assert change["fullDocument"] == {"_id": 1}


async def test_nothing_listens_on_a_network_and_the_files_are_private(tmp_path: Path) -> None:
    async with running(tmp_path) as (private, _):
        assert not network_sockets(private.pid)
        assert stat.S_IMODE((tmp_path / "mongod").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "mongod/mongod.sock").stat().st_mode) == 0o600


async def test_it_listens_on_its_own_socket_alone_so_that_two_can_start_at_once(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        first, second = PrivateMongod(tmp_path / "first"), PrivateMongod(tmp_path / "second")
        group.create_task(first.start())
        group.create_task(second.start())
    try:
        assert listening_paths(first.pid) == {str(tmp_path / "first/mongod/mongod.sock")}
        assert listening_paths(second.pid) == {str(tmp_path / "second/mongod/mongod.sock")}
    finally:
        await first.stop()
        await second.stop()


async def test_a_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (private, _):
        assert private.pid is not None
        assert os.getsid(private.pid) == private.pid != os.getsid(0)


async def test_data_is_kept_between_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        await client.t.things.insert_one({"_id": "kept"})
    assert not (tmp_path / "mongod/mongod.sock").exists()
    async with running(tmp_path) as (_, client):
        assert await client.t.things.find_one() == {"_id": "kept"}


async def test_stop_can_be_called_twice_and_leaves_no_process(tmp_path: Path) -> None:
    private = PrivateMongod(tmp_path)
    await private.start()
    pid = private.pid
    assert pid is not None
    await private.stop()
    await private.stop()
    assert not alive(pid)
    assert private.pid is None


async def test_kill_mongod_and_a_connected_client_works_again(tmp_path: Path) -> None:
    async with running(tmp_path) as (private, client):
        await client.t.things.insert_one({"_id": "kept"})
        for _ in range(2):
            killed = private.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda killed=killed: private.pid not in (None, killed))
            await eventually(writes(client))
        assert await client.t.things.find_one({"_id": "kept"})


async def test_kill_the_owner_and_mongod_is_gone_and_the_next_start_works(tmp_path: Path) -> None:
    async with owner_process(tmp_path) as (owner, pid):
        assert alive(pid)
        owner.kill()
        await eventually(lambda: not alive(pid))
    async with running(tmp_path) as (private, client):
        assert private.pid not in (None, pid)
        assert await writes(client)()


async def test_a_mongod_that_outlived_its_owner_is_stopped(tmp_path: Path) -> None:
    """As where the kernel does not end it with its owner."""
    folder = tmp_path / "mongod"
    folder.mkdir(mode=0o700)
    leftover = mongod_process.spawn(mongod_process.find_binary(), folder / "db", folder / "other.sock", folder / "other.log")
    try:
        await eventually(lambda: bool(mongod_process.leftover_pid(folder / "db")))
        async with running(tmp_path) as (private, client):
            assert leftover.poll() is not None
            assert private.pid not in (None, leftover.pid)
            assert await writes(client)()
    finally:
        leftover.kill()
        leftover.wait()


async def test_a_second_command_joins_and_leaves_without_stopping_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (owner, client):
        await client.t.things.insert_one({"_id": "shared"})
        async with running(tmp_path) as (joined, other):
            assert joined.pid is None
            assert joined.uri == owner.uri
            assert await other.t.things.find_one() == {"_id": "shared"}
        assert owner.pid is not None
        assert await writes(client)()


async def test_the_one_that_joined_takes_over_when_the_owner_is_killed(tmp_path: Path) -> None:
    async with owner_process(tmp_path) as (owner, pid), running(tmp_path) as (joined, client):
        await client.t.things.insert_one({"_id": "kept"})
        owner.kill()
        await eventually(lambda: joined.pid not in (None, pid))
        await eventually(writes(client))
        assert await client.t.things.find_one({"_id": "kept"})


async def test_the_one_that_joined_takes_over_when_the_owner_stops(tmp_path: Path) -> None:
    owner = PrivateMongod(tmp_path)
    await owner.start()
    async with running(tmp_path) as (joined, client):
        await owner.stop()
        await eventually(lambda: joined.pid is not None)
        await eventually(writes(client))


@pytest.mark.parametrize("name", ["long" * 40, "with, comma: and colon", "Größe"])
async def test_any_data_directory_will_do(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name
    short = mongod_process.socket_path(data_dir / "mongod").parent
    assert short.parent == Path("/tmp")
    async with running(data_dir) as (_, client):
        assert await writes(client)()
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        async with running(data_dir) as (joined, other):
            assert joined.pid is None
            assert await writes(other)()
    assert not short.exists()


async def test_a_data_directory_may_be_moved(tmp_path: Path) -> None:
    async with running(tmp_path / "before") as (_, client):
        await client.t.things.insert_one({"_id": "kept"})
    shutil.move(tmp_path / "before", tmp_path / "after")
    async with running(tmp_path / "after") as (_, client):
        assert await client.t.things.find_one() == {"_id": "kept"}
        assert await writes(client)()


async def test_a_folder_under_tmp_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 40)
    short = mongod_process.socket_path(data_dir / "mongod").parent
    short.symlink_to(tmp_path)
    try:
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            await PrivateMongod(data_dir).start()
    finally:
        short.unlink()


async def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot use .*/file/mongod: Not a directory\."):
        await PrivateMongod(tmp_path / "file").start()


async def test_no_mongod_anywhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TETHER_MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match=r"install the demo extra .* or set MONGODB_URI\.$"):
        await PrivateMongod(tmp_path).start()


def test_mongod_is_looked_for_where_it_was_named_then_on_path_then_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {}
    for name in ("asked", "variable", "path"):
        folders[name] = tmp_path / name / "mongod"
        folders[name].parent.mkdir()
        folders[name].write_text("")
        folders[name].chmod(0o755)
    monkeypatch.setenv("TETHER_MONGOD", str(folders["variable"]))
    monkeypatch.setenv("PATH", str(folders["path"].parent))
    assert mongod_process.find_binary(folders["asked"]) == str(folders["asked"])
    assert mongod_process.find_binary() == str(folders["variable"])
    monkeypatch.delenv("TETHER_MONGOD")
    assert mongod_process.find_binary() == str(folders["path"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert mongod_process.find_binary().endswith("/fiftyone/db/bin/mongod")
    with pytest.raises(ConfigError, match="TETHER_MONGOD names /nowhere/mongod, which is not a program"):
        mongod_process.find_binary("/nowhere/mongod")


async def test_a_mongod_that_cannot_load_is_quoted_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    broken = tmp_path / "mongod-broken"
    broken.write_text("#!/bin/sh\necho 'mongod: error while loading shared libraries: libcurl.so.4' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match=r"did not start: .*libcurl\.so\.4 \(its log is .*mongod\.log\)\.$"):
        await PrivateMongod(tmp_path / "data", broken).start()
    async with running(tmp_path / "data") as (private, _):
        assert private.pid is not None


async def test_damaged_data_files_are_told_in_mongods_own_words(tmp_path: Path) -> None:
    async with running(tmp_path):
        pass
    (tmp_path / "mongod/db/WiredTiger.turtle").write_bytes(b"\x00" * 100)
    with pytest.raises(ConfigError, match=r"^The private MongoDB did not start: .+ \(its log is .*\)\.$") as caught:
        await PrivateMongod(tmp_path).start()
    assert "\n" not in str(caught.value)


def test_the_telling_line(tmp_path: Path) -> None:
    log = tmp_path / "mongod.log"
    assert mongod_process.telling_line(log, -signal.SIGILL) == "it was ended by SIGILL"
    log.write_text('{"s":"I","msg":"starting"}\n{"s":"E","msg":"m","attr":{"error":"in use"}}\n{"s":"F","msg":"later"}\n{"s":')
    assert mongod_process.telling_line(log, 1) == "in use"
    log.write_text('{"s":"E","msg":"m","attr":{"error":28,"message":{"msg":"pwrite","error_str":"No space left on device"}}}\n')
    assert mongod_process.telling_line(log, -signal.SIGABRT) == "No space left on device"
    log.write_text('{"s":"I","msg":"starting"}\n')
    assert mongod_process.telling_line(log, 1) == "it ended with status 1"
    assert mongod_process.telling_line(log, None) == "it did not answer in time"
    assert mongod_process.telling_line(log, -signal.SIGABRT) == "it was ended by SIGABRT"


def test_a_full_disk_is_told_although_it_has_no_room_for_the_log(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 4 << 20) as disk:
        if disk.is_mounted:
            disk.fill(os.getpid())
            assert mongod_process.telling_line(disk.folder / "mongod.log", -signal.SIGABRT) == "No space left on device"
        assert mongod_process.telling_line(disk.folder / "mongod.log", 1) == "it ended with status 1"


def test_a_long_log_begins_again_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "mongod.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"0123456789")
        mongod_process.bound_log(log, 10)
        assert log.stat().st_size == 10
        writer.write(b"ab")
        mongod_process.bound_log(log, 10)
        writer.write(b"cd")
    assert log.read_bytes() == b"cd"
    assert (tmp_path / "mongod.log.old").read_bytes() == b"0123456789ab"
