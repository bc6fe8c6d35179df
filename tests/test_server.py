"""The program as a process: it starts or says in one sentence why not, and stops without losing a call."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.people import signed_in
from tests.support.raw import connection
from tests.support.service import ROOT, SAMPLES, SECRET, ServerProcess, missed, sample
from tests.support.standalone import standalone_mongod
from tests.support.waiting import eventually
from tests.support.watcher import upgrade_request
from tether_rt.mongo.private_mongod import PrivateMongod


def variables(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a server in `folder` and nothing of the tests' own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TETHER_", "R2_", "MONGODB_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "TETHER_PORT": "0", "TETHER_DATA_DIR": str(folder / "var"), **more}


def refusal(folder: Path, **more: str) -> str:
    """Return the one sentence with which the start is refused."""
    done = subprocess.run(
        [sys.executable, "-m", "tether_rt", "serve"],
        env=variables(folder, **more),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    logged = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert not any('"listening"' in line for line in logged)
    (sentence,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    return sentence.removeprefix("Error: ")


async def logged(process: ServerProcess, event: str) -> dict[str, Any]:
    """Wait for a line of the log."""
    async with asyncio.timeout(30):
        while True:
            for line in process.lines():
                if line["event"] == event:
                    return line
            assert process.process.poll() is None, process.log_path.read_text()
            await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class SlowVendor:
    """A vendor's file server that answers with a recording once `go_on` is set."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.address = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.go_on.wait()
        voice = (SAMPLES / "delivery.mp3").read_bytes()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: %d\r\n\r\n" % len(voice) + voice)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def slow_vendor() -> AsyncIterator[SlowVendor]:
    vendor = SlowVendor()
    server = await asyncio.start_server(vendor.answer, "127.0.0.1", 0)
    vendor.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        vendor.go_on.set()
        server.close()


def private_uri(process: ServerProcess) -> str:
    """Return the address of the private MongoDB of a server's data directory."""
    return PrivateMongod(process.folder / "var").uri


# ---------------------------------------------------------------------- the end


async def test_sigterm_finishes_what_is_in_flight_tells_dashboards_and_leaves_nothing_running(tmp_path: Path) -> None:
    async with slow_vendor() as vendor:
        process = ServerProcess(tmp_path, TETHER_PRIVATE_RECORDING_HOSTS=vendor.address)
        await process.start()
        mongod_pid = int((await logged(process, "private MongoDB started"))["pid"])
        async with signed_in(process, private_uri(process)) as tenant, connection(process.url) as idle:
            await idle.request("GET /healthz")
            assert (await idle.answer()).status == 200
            dashboard = await tenant.dashboard()
            call = sample("delivery", recording=f"http://{vendor.address}/a.mp3")
            posting = asyncio.create_task(tenant.post_call(call))
            await vendor.asked.wait()
            process.process.send_signal(signal.SIGTERM)
            await logged(process, "stopping")
            with pytest.raises(aiohttp.ClientConnectorError):
                await tenant.post_call(missed())
            assert runs(mongod_pid)
            vendor.go_on.set()
            answer = await posting
            assert answer.status == 201, answer.body
            events = await dashboard.events(4)
            assert {event["data"]["callId"] for event in events} == {answer.body["callId"]}
            farewell = await dashboard.socket.receive(20)
            assert (farewell.type, dashboard.socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert await idle.ended() == b""
        assert await process.stop() == 0
        assert not runs(mongod_pid)
        assert process.lines()[-1]["event"] == "stopped"
        assert not any(line["level"] == "error" for line in process.lines())
        await process.start()
        again = await _post(process.url, tenant.api_key, call)
        assert again == {"success": True, "deduplicated": True, "callId": answer.body["callId"]}
        assert await process.stop() == 0


async def _post(url: str, key: str, call: dict[str, Any]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/api/calls/ingest", json=call, headers={"Authorization": f"Bearer {key}"}) as response,
    ):
        return dict(await response.json())


async def test_a_request_that_never_ends_is_cut_off_at_the_deadline_and_dashboards_get_1001(
    tmp_path: Path, mongodb_uri: str
) -> None:
    async with slow_vendor() as vendor:
        process = ServerProcess(
            tmp_path, MONGODB_URI=mongodb_uri, TETHER_PRIVATE_RECORDING_HOSTS=vendor.address, TETHER_SHUTDOWN_S="2"
        )
        await process.start()
        async with signed_in(process, mongodb_uri) as tenant:
            dashboard = await tenant.dashboard()
            posting = asyncio.create_task(tenant.post_call(sample("delivery", recording=f"http://{vendor.address}/a.mp3")))
            await vendor.asked.wait()
            process.process.send_signal(signal.SIGTERM)
            farewell = await dashboard.socket.receive(60)
            assert (farewell.type, dashboard.socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert await process.stop() == 0
            assert [line["part"] for line in process.lines() if line["event"] == "drain_cut_off"] == ["requests"]
            with pytest.raises(aiohttp.ClientError):
                await posting


async def test_while_load_balancers_take_note_it_still_serves(tmp_path: Path, mongodb_uri: str) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, TETHER_DRAIN_DELAY_S="600")
    await process.start()
    async with signed_in(process, mongodb_uri) as tenant:
        assert (await tenant.get("/readyz")).status == 200
        process.process.send_signal(signal.SIGTERM)
        await logged(process, "stopping")
        answer = await tenant.get("/readyz")
        assert answer.status == 503
        assert answer.body["checks"]["process"] == "the server is about to stop"
        async with aiohttp.ClientSession() as newcomer:
            tenant.http = newcomer
            assert (await tenant.post_call(missed())).status == 201
            dashboard = await tenant.dashboard()
            process.process.send_signal(signal.SIGTERM)  # a second one ends the wait
            farewell = await dashboard.socket.receive(60)
            assert (farewell.type, dashboard.socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert await process.stop() == 0


async def test_a_mongod_that_hangs_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, TETHER_SHUTDOWN_S="1")
    await process.start()
    mongod_pid = int((await logged(process, "private MongoDB started"))["pid"])
    os.kill(mongod_pid, signal.SIGSTOP)
    assert await process.stop() == 0
    await eventually(lambda: not runs(mongod_pid))  # the kernel kills it when its owner has ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_start_that_takes_long_ends_at_once_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    pid_path = tmp_path / "pid"
    program = tmp_path / "mongod-that-never-listens"
    program.write_text(f"#!/bin/sh\necho $$ > {pid_path}.new && mv {pid_path}.new {pid_path}\nexec sleep 600\n")
    program.chmod(0o700)
    process = subprocess.Popen(  # noqa: ASYNC220 - a fork takes no time here
        [sys.executable, "-m", "tether_rt", "serve"],
        env=variables(tmp_path, TETHER_MONGOD=str(program)),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while not pid_path.exists():
        assert process.poll() is None
        await asyncio.sleep(0.01)
    process.send_signal(number)
    _, said = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, said
    assert not runs(int(pid_path.read_text()))
    assert b"Traceback" not in said


async def test_until_the_server_has_started_connections_are_refused(tmp_path: Path) -> None:
    """What polls an address would otherwise wait for an answer, and take the server for one that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = tmp_path / "started"
    program = tmp_path / "mongod-that-never-listens"
    program.write_text(f"#!/bin/sh\ntouch {started}\nexec sleep 600\n")
    program.chmod(0o700)
    process = subprocess.Popen(  # noqa: ASYNC220 - a fork takes no time here
        [sys.executable, "-m", "tether_rt", "serve"],
        env=variables(tmp_path, TETHER_MONGOD=str(program), TETHER_PORT=str(port)),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not started.exists():
        assert process.poll() is None
        await asyncio.sleep(0.01)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    process.terminate()
    assert await asyncio.to_thread(process.wait, 60) == 0


# ---------------------------------------------------------------------- open files


def limited(command: list[str], open_files: int) -> list[str]:
    """Return a command that may have so many files open, and cannot raise the limit."""
    return ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh", *command]


async def test_no_more_is_let_in_than_open_files_allow(tmp_path: Path, mongodb_uri: str) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri)
    process.command = limited(process.command, 480)
    await process.start()
    possible = (await logged(process, "few_open_files"))["possible"]
    async with signed_in(process, mongodb_uri) as tenant, AsyncExitStack() as stack:
        statuses: list[int] = []
        while statuses[-1:] in ([], [101]):
            raw = await stack.enter_async_context(connection(process.url))
            await raw.send(upgrade_request(process.url, tenant.token, None))
            statuses.append((await raw.answer(of_head=True)).status)
        assert statuses[-1] == 503
        assert len(statuses) - 1 == possible // 2
        statuses = []
        while statuses[-1:] in ([], [200]):
            raw = await stack.enter_async_context(connection(process.url))
            await raw.request("GET /healthz")
            statuses.append((await raw.answer()).status)
        assert statuses[-1] == 503
        # Dashboards do not count here, but the refused one's connection and those of the test's client do.
        assert possible // 2 - 10 < len(statuses) - 1 <= possible // 2
    async with asyncio.timeout(20):  # until the server has noticed that its clients have left
        while statuses[-1] != 200:
            async with connection(process.url) as raw:
                await raw.request("GET /healthz")
                statuses.append((await raw.answer()).status)
    assert await process.stop() == 0
    # Of organizations that other tests left in the database, some have no admin.
    said = [line["event"] for line in process.lines() if line["level"] != "info" and line["event"] != "admins_made"]
    assert said == ["few_open_files"]


async def test_without_free_descriptors_the_server_goes_on_and_accepts_again_once_there_are_some(
    tmp_path: Path, mongodb_uri: str
) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri)
    await process.start()
    async with connection(process.url) as kept:
        await kept.request("GET /healthz")
        assert (await kept.answer()).status == 200
        pid = process.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        async with connection(process.url) as waiting:
            await waiting.request("GET /healthz")
            reason = (await logged(process, "accept_failed"))["reason"]
            assert reason == "Too many open files"
            for _ in range(20):
                await kept.request("GET /healthz")
                assert (await kept.answer()).status == 200
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert (await waiting.answer()).status == 200
    assert await process.stop() == 0
    assert [line["event"] for line in process.lines()].count("accept_failed") == 1


# ---------------------------------------------------------------------- two on one data directory


async def test_a_second_process_joins_the_first_ones_mongodb_and_takes_it_over(tmp_path: Path) -> None:
    first, second = ServerProcess(tmp_path), ServerProcess(tmp_path)
    await first.start()
    await second.start()
    assert not any(line["event"] == "private MongoDB started" for line in second.lines())
    async with signed_in(second, private_uri(second)) as there:
        dashboard = await there.dashboard()
        call = missed()
        made = await _post(first.url, there.api_key, call)
        assert {event["data"]["callId"] for event in await dashboard.events(3)} == {made["callId"]}
        assert await first.stop() == 0
        await logged(second, "private MongoDB started")
        answer = await there.post_call(call)
        while answer.status == 503:
            await asyncio.sleep(0.05)
            answer = await there.post_call(call)
        assert (answer.status, answer.body["callId"]) == (200, made["callId"])
        later = await there.post_call(missed())
        while later.status == 503:
            later = await there.post_call(missed())
        assert {event["data"]["callId"] for event in await dashboard.events(3)} == {later.body["callId"]}
        await dashboard.close()
    assert await second.stop() == 0


# ---------------------------------------------------------------------- the start


async def test_it_says_where_it_listens_and_listens_there(tmp_path: Path, mongodb_uri: str) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, TETHER_HOST="127.0.0.1")
    url = await process.start()
    line = await logged(process, "listening")
    assert line["url"] == url == f"http://127.0.0.1:{line['port']}"
    async with connection(url) as raw:
        await raw.request("GET /readyz")
        while (answer := await raw.answer()).status == 503:  # until the feed is being followed
            assert answer.body["checks"]["feed"] != "ok"
            await raw.request("GET /readyz")
    assert (answer.status, answer.body["ready"]) == (200, True)
    assert await process.stop() == 0
    assert all(isinstance(json.loads(line), dict) for line in process.log_path.read_text().splitlines())


def test_what_was_built_at_the_start_is_no_work_for_the_garbage_collector(tmp_path: Path, mongodb_uri: str) -> None:
    """A full collection looks at everything that is not exempt, and nothing else happens meanwhile."""
    code = """
        import asyncio, gc, os, signal
        from tether_rt.server import serve
        from tether_rt.settings import Settings

        async def look(server):
            print(len(gc.get_objects()) < gc.get_freeze_count())
            os.kill(os.getpid(), signal.SIGTERM)

        asyncio.run(serve(Settings.from_environment(), look))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=variables(tmp_path, MONGODB_URI=mongodb_uri, TETHER_SECRET=SECRET),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_a_port_that_is_taken_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = refusal(tmp_path, TETHER_PORT=port)
    assert sentence == f"TETHER_HOST 127.0.0.1 with TETHER_PORT {port} cannot be listened on: Address already in use."
    assert not (tmp_path / "var").exists()


def test_a_host_that_is_none_of_ours_is_said(tmp_path: Path) -> None:
    assert refusal(tmp_path, TETHER_HOST="192.0.2.1").startswith(
        "TETHER_HOST 192.0.2.1 with TETHER_PORT 0 cannot be listened on"
    )


async def test_a_mongodb_that_is_no_replica_set_is_said(tmp_path: Path) -> None:
    async with standalone_mongod(tmp_path) as uri:
        sentence = await asyncio.to_thread(refusal, tmp_path, MONGODB_URI=uri, TETHER_SECRET=SECRET)
    assert sentence.startswith("MONGODB_URI is not a replica set: start mongod with --replSet")


def test_a_mongodb_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, MONGODB_URI="mongodb://somebody:tiger@127.0.0.1:1/", TETHER_SECRET=SECRET)
    assert sentence == "MONGODB_URI cannot be reached: is MongoDB running at that address?"


def test_a_missing_setting_is_said(tmp_path: Path) -> None:
    assert refusal(tmp_path, MONGODB_URI="mongodb://127.0.0.1:1/").startswith("TETHER_SECRET is missing")
    assert refusal(tmp_path, R2_BUCKET="calls").startswith("R2 needs all of its settings or none")


def test_a_data_directory_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file is in its place")
    assert str(tmp_path / "var") in refusal(tmp_path)
