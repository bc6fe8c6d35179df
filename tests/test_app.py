"""The composition: every route is in the contract, and every part that was opened is closed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import settings_on
from tests.support.raw import connection
from tests.support.service import ROOT, SECRET, Service, missed, running
from tether_rt.domain.contract import load_contract
from tether_rt.errors import ConfigError, Unavailable
from tether_rt.http.routing import allowed_methods, pattern
from tether_rt.http.sockets import bind
from tether_rt.runtime.closing import close_all
from tether_rt.server import Server
from tether_rt.settings import Settings

NOT_IN_THE_CONTRACT = {"/", "/join", "/static/{file}", "/static/{version}/{file}"}
"""The dashboard's own files: no client is written against them."""


@pytest.fixture(scope="module")
async def alone(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A server of this module's own."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("app"))) as service:
        yield service


# ---------------------------------------------------------------------- routes


def test_the_routes_and_their_methods_are_those_of_the_contract(alone: Service) -> None:
    served = {
        (method, path)
        for path, handler, _ in alone.server.app.routes
        for method in allowed_methods(handler)
        if path not in NOT_IN_THE_CONTRACT and method != "HEAD"
    }
    assert served == load_contract().operations


def test_every_route_is_found_by_its_own_address_alone(alone: Service) -> None:
    paths = [path for path, _, _ in alone.server.app.routes]
    assert len(set(paths)) == len(paths)
    for path in paths:
        example = path.replace("{file}", "js/main.js")
        example = re.sub(r"\{\w+\}", "x1", example)
        first = next(other for other in paths if re.fullmatch(pattern(other), example))
        assert first == path


@pytest.mark.parametrize(
    ("path", "address", "matches"),
    [
        ("/api/calls/{callId}", "/api/calls/abc", True),
        ("/api/calls/{callId}", "/api/calls/", False),
        ("/api/calls/{callId}", "/api/calls/abc/recording", False),
        ("/api/calls/{callId}", "/api/calls/abc/", False),
        ("/healthz", "/healthzz", False),
        ("/openapi.json", "/openapiXjson", False),
        ("/static/{file}", "/static/js/main.js", True),
        ("/static/{file}", "/static/favicon.svg", True),
        ("/static/{file}", "/static/package.json", False),
        ("/static/{file}", "/static/vendor.mjs", False),
        ("/static/{file}", "/static/node_modules/x.js", False),
        ("/static/{file}", "/static/", False),
        ("/static/{version}/{file}", "/static/0a1b2c/js/main.js", True),
        ("/static/{version}/{file}", "/static/0a1b2c/package.json", False),
        ("/static/{version}/{file}", "/static/0a1b2c/0a1b2c/js/main.js", False),
    ],
)
def test_a_part_of_an_address_is_one_segment_and_a_file_one_of_the_dashboards(path: str, address: str, matches: bool) -> None:
    assert (re.fullmatch(pattern(path), address) is not None) is matches


@pytest.mark.parametrize(
    "address",
    [
        "/static/js/../../setup.cfg",
        "/static/js/..%2f..%2fsetup.cfg",
        "/static/js/%2e%2e/%2e%2e/setup.cfg",
        "/static/js/....//....//setup.cfg",
        "/static/js//etc/passwd",
        "/static/js/%2fetc%2fpasswd",
        "/static/js/..\\..\\setup.cfg",
        "/static/css/%00",
        "/static/css/",
        "/static/js/nothing.js",
        "//etc/passwd",
        "/../setup.cfg",
    ],
)
async def test_no_address_leads_out_of_the_dashboards_files(alone: Service, address: str) -> None:
    async with connection(alone.base_url) as raw:
        await raw.request(f"GET {address}")
        answer = await raw.answer()
    assert answer.status in (400, 403, 404), answer
    assert answer.body["success"] is False


# ---------------------------------------------------------------------- beginning and end


def test_a_server_that_has_stopped_leaves_no_file_open_and_no_task_running(mongodb_uri: str, tmp_path: Path) -> None:
    """In a process of its own, whose files and tasks are the server's alone."""
    code = """
        import asyncio, os, sys
        from pathlib import Path
        from tests.conftest import settings_on
        from tests.support.waiting import eventually
        from tests.support.service import missed, running

        async def live():
            async with running(settings_on(sys.argv[1], Path(sys.argv[2]))) as service:
                tenant = await service.tenant()
                dashboard = await tenant.dashboard()
                assert (await tenant.post_call(missed())).status == 201
                await dashboard.events(3)
                await dashboard.close()

        def open_files():
            return len(os.listdir("/proc/self/fd"))

        async def main():
            await live()  # what is opened once for the process is open from here on
            before = open_files()
            for _ in range(2):
                await live()
            await eventually(lambda: open_files() <= before)
            await eventually(lambda: len(asyncio.all_tasks()) == 1)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), mongodb_uri, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


async def test_stopping_twice_is_stopping_once(mongodb_uri: str, tmp_path: Path) -> None:
    server = Server(settings_on(mongodb_uri, tmp_path))
    await server.start()
    await server.stop()
    await server.stop()


async def test_a_part_that_cannot_be_closed_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    closed = asyncio.Event()

    async def failing() -> None:
        raise OSError("it is stuck")

    async def endless() -> None:
        await asyncio.Event().wait()

    async def good() -> None:
        closed.set()

    await close_all([("endless", endless), ("failing", failing), ("good", good)], 0.1)
    assert closed.is_set()
    records = [record for record in caplog.records if record.getMessage() == "close_failed"]
    assert all(record.levelno == logging.ERROR for record in records)
    assert {vars(record)["fields"]["part"] for record in records} == {"endless", "failing"}


async def test_a_start_that_fails_late_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "spool").write_text("a file where a folder should be")
    server = Server(Settings.from_values({"port": port, "data_dir": tmp_path, "secret": SECRET}))
    with pytest.raises(Unavailable):
        await server.start()
    assert server.app.private_mongod is not None
    assert server.app.private_mongod.pid is not None
    await server.stop()
    assert server.app.private_mongod.pid is None
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


async def test_a_port_that_another_process_takes_during_the_start_is_said(mongodb_uri: str, tmp_path: Path) -> None:
    (other,) = bind("127.0.0.1", 0)
    port = other.getsockname()[1]
    server = Server(settings_on(mongodb_uri, tmp_path, port=port))
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(0)  # until the server waits for the first time, and has bound its port
    other.listen()
    with pytest.raises(ConfigError, match=f"TETHER_PORT {port} cannot be listened on: Address already in use"):
        await starting
    await server.stop()
    other.close()


async def test_a_private_mongod_that_dies_is_started_again_and_the_server_goes_on(tmp_path: Path) -> None:
    async with running(Settings.from_values({"port": 0, "data_dir": tmp_path, "secret": SECRET})) as service:
        tenant = await service.tenant()
        assert (await tenant.post_call(missed())).status == 201
        mongod = service.server.app.private_mongod
        assert mongod is not None
        died = mongod.pid
        assert died is not None
        os.kill(died, signal.SIGKILL)
        call = missed()
        answer = await tenant.post_call(call)
        while answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.body["success"] is False
            await asyncio.sleep(0.05)
            answer = await tenant.post_call(call)
        assert answer.status in (200, 201)
        assert mongod.pid not in (None, died)
        assert (await tenant.get("/api/calls/history")).body["total"] == 2


# ---------------------------------------------------------------------- health


async def test_readiness_names_the_part_that_is_missing_and_says_so_no_longer_when_it_is_back(tmp_path: Path) -> None:
    async with running(Settings.from_values({"port": 0, "data_dir": tmp_path, "secret": SECRET})) as service:
        tenant = await service.tenant()

        async def ready() -> dict[str, str]:
            answer = await tenant.request("GET", "/readyz")
            assert answer.status == (200 if answer.body["ready"] else 503)
            assert ("Retry-After" in answer.headers) is not answer.body["ready"]
            return dict(answer.body["checks"])

        async def recovered() -> None:
            while await ready() != {"mongodb": "ok", "store": "ok", "feed": "ok"}:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)

        await recovered()
        mongod = service.server.app.private_mongod
        assert mongod is not None
        assert mongod.pid is not None
        os.kill(mongod.pid, signal.SIGSTOP)
        try:
            while (checks := await ready())["mongodb"] == "ok":  # noqa: ASYNC110 - remembered for a second
                await asyncio.sleep(0.02)
            assert checks["store"] == "ok"
            assert (await tenant.request("GET", "/healthz")).status == 200
        finally:
            os.kill(mongod.pid, signal.SIGCONT)
        await recovered()
