"""`tether-rt send` and `tether-rt listen`, as they are used in a terminal and in a script."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.moody import answer, moody_server
from tests.support.processes import running_process
from tests.support.proxy import proxy_to
from tests.support.service import SAMPLES, Service, Tenant, missed, sample
from tests.test_cli import refusal, run
from tether_rt.client import Event, EventData, Resync
from tether_rt.commands.event_table import EventTable

# ---------------------------------------------------------------------- send


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant()


async def sent(tenant: Tenant, call: Any, *more: str, path: Path | None = None, key: str = "") -> Any:
    """Run `tether-rt send` with a file, or with standard input."""
    text = call if isinstance(call, str) else json.dumps(call)
    if path is not None:
        await asyncio.to_thread(path.write_text, text)
    arguments = ("send", str(path or "-"), "--url", tenant.base_url, "--key", key or tenant.api_key, *more)
    stdin = f"{tenant.api_key}\n{text}" if key == "-" else text
    return await asyncio.to_thread(run, *arguments, stdin=stdin.encode())


async def test_a_file_is_sent_once_and_the_answer_is_a_line_of_json(tenant: Tenant, tmp_path: Path) -> None:
    call = missed()
    done = await sent(tenant, call, path=tmp_path / "call.json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    call_id = json.loads(done.stdout)["callId"]
    again = await sent(tenant, call, key="-")
    assert json.loads(again.stdout) == {"success": True, "deduplicated": True, "callId": call_id}


async def test_a_recording_is_attached(tenant: Tenant, tmp_path: Path) -> None:
    call, audio = sample(voice=False), str(SAMPLES / "appointment.mp3")
    done = await sent(tenant, call, "--recording", audio)
    shown = (await tenant.get(f"/api/calls/{json.loads(done.stdout)['callId']}")).body["call"]
    assert shown["recordingStatus"] == "stored"
    done = await sent(tenant, call, "--recording", str(tmp_path / "nothing.mp3"))
    assert refusal(done) == f"{tmp_path}/nothing.mp3: No such file or directory."


async def test_a_refusal_is_said_sentence_by_sentence(tenant: Tenant) -> None:
    done = await sent(tenant, missed(status="answered", duration="long"))
    assert (done.returncode, done.stdout) == (1, "")
    first, second = sorted(done.stderr.splitlines())
    assert first == "Error: duration must be a number."
    assert second.startswith("Error: status must be one of completed, no-answer, busy, failed")
    done = await sent(tenant, missed(), key="tk_live_mistyped")
    assert (done.returncode, done.stderr) == (1, "Error: Missing or invalid API key: send Authorization: Bearer tk_live_….\n")


async def test_a_dry_run_stores_nothing(tenant: Tenant) -> None:
    done = await sent(tenant, missed(), "--dry-run")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "would_create")
    done = await sent(tenant, missed(status="answered"), "--dry-run")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "would_refuse")
    assert (await tenant.get("/api/calls/history")).body["total"] == 0


async def test_it_is_tried_again_and_given_up_with_a_sentence(tenant: Tenant) -> None:
    async with moody_server() as moody:
        tenant.base_url = moody.url
        moody.answers = [answer(503), answer(201)]
        done = await sent(tenant, missed())
        assert done.returncode == 0
        assert re.fullmatch(r"the server answered 503: No\.; trying again in 0\.\d s\n", done.stderr)
        moody.answers = [answer(503)]
        done = await sent(tenant, missed(), "--give-up", "0")
        assert refusal(done, 1) == "Gave up after 0 s: the server answered 503: No."


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("{", "FILE is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "FILE must hold one call, a JSON object; `tether-rt import` sends a file of many, one a line."),
        (json.dumps({**missed(), "duration": float("nan")}), "FILE cannot be sent: Out of range float values"),
        (json.dumps(missed(summary="\ud800")), "FILE cannot be sent: 'utf-8' codec can't encode character"),
        (missed(externalCallId=...), "The call has no externalCallId. It is what makes a retry safe: "),
    ],
)
async def test_what_is_no_call_is_not_sent(tenant: Tenant, call: Any, sentence: str) -> None:
    assert refusal(await sent(tenant, call)).startswith(sentence)


async def test_giving_up_takes_a_time(tenant: Tenant) -> None:
    refused = refusal(await sent(tenant, missed(), "--give-up", "nan"))
    assert refused == "--give-up must be 0 or more, not nan."


# ---------------------------------------------------------------------- listen


@asynccontextmanager
async def listening(
    url: str, token: str, *arguments: str, stdout: int = subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `tether-rt listen` until the block ends; the token goes in by standard input."""
    # A shell starts what it runs in the background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = (sys.executable, "-m", "tether_rt", "listen", "--url", url, "--token", "-", *arguments)
    async with running_process(*command, stdout=stdout) as process:
        assert process.stdin is not None
        process.stdin.write(f"{token}\n".encode())
        yield process


async def lines_of(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    return [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]


async def interrupted(process: asyncio.subprocess.Process) -> str:
    """Press Ctrl-C; return where to resume."""
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 130
    last = errors.decode().splitlines()[-1]
    assert last.startswith("To resume: --after ")
    return last.rpartition(" ")[2]


async def test_the_table_has_a_row_for_each_event(tenant: Tenant) -> None:
    await tenant.post_call(missed(callerName="Mia Wong", fromNumber="+14165550123"))
    async with listening(tenant.base_url, tenant.token, "--after", "0") as process:
        heading, *rows = await lines_of(process, 4)
        await interrupted(process)
    columns = [heading.index(name) for name in ("time", "event", "contact", "from → to", "what")]
    cells = [[row[start:end].strip() for start, end in zip(columns, [*columns[1:], None], strict=True)] for row in rows]
    assert [cell[1] for cell in cells] == ["call_initiated", "call_ended", "fetch_messages"]
    assert {(cell[2], cell[3]) for cell in cells} == {("Mia Wong", "+14165550123 → +14165550100")}
    assert cells[1][4] == "0:00 no-answer"
    assert all(datetime.fromisoformat(cell[0]) for cell in cells)
    assert "\x1b" not in "".join(rows), "no colours outside a terminal"


async def test_lines_of_json_go_on_where_it_was_stopped_across_a_cut(tenant: Tenant) -> None:
    await tenant.post_call(missed())
    seen: list[dict[str, Any]] = []
    async with proxy_to("127.0.0.1", int(tenant.base_url.rpartition(":")[2])) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with listening(url, tenant.token, "--json", "--after", "0") as process:
            seen += map(json.loads, await lines_of(process, 3))
            proxy.cut()
            assert process.stderr is not None
            assert b"; trying again in 0." in await process.stderr.readline()
            await tenant.post_call(missed())
            seen += map(json.loads, await lines_of(process, 3))
            position = await interrupted(process)
        assert position == seen[-1]["position"]
        await tenant.post_call(missed())
        async with listening(url, tenant.token, "--json", "--after", position) as process:
            seen += map(json.loads, await lines_of(process, 3))
    assert [event["seq"] for event in seen] == list(range(1, 10))
    assert seen[0].keys() == {"event", "seq", "id", "at", "data", "position"}


async def test_what_nobody_reads_any_more_comes_again(tenant: Tenant) -> None:
    await tenant.post_call(missed())
    reading, writing = os.pipe()
    async with listening(tenant.base_url, tenant.token, "--json", "--after", "0", stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading) as output:
            seen = [json.loads(await asyncio.to_thread(output.readline)) for _ in range(3)]
        await tenant.post_call(missed())
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == f"To resume: --after {seen[-1]['position']}\n"


async def test_a_token_that_does_not_hold_and_a_position_that_is_none(tenant: Tenant) -> None:
    arguments = ("listen", "--url", tenant.base_url, "--token", "mistyped")
    done = await asyncio.to_thread(run, *arguments)
    assert refusal(done, 1) == "401: The server does not know the token, or it has expired."
    done = await asyncio.to_thread(run, *arguments, "--after", "yesterday")
    assert refusal(done) == "--after must be the position of an event, or a number such as 0, not 'yesterday'."


def event(name: str, **data: Any) -> Event:
    return Event(1, "1", name, datetime.now(UTC), cast("EventData", {"callId": "c", **data}), "e.1", {})


def texts(table: EventTable, items: Iterable[Event | Resync]) -> list[str]:
    return [line.text for item in items for line in table.lines(item)]


def test_a_name_cannot_command_the_terminal_and_columns_stay() -> None:
    names = ("\x1b]0;owned\x07Mia", "王小明" * 9, "A" * 99, "Zoë", "\u202eevil", "")
    table = EventTable()
    items = [event("call_initiated", contactName=name, to="+14165550100", **{"from": None}) for name in names]
    heading, *rows = texts(table, items)
    assert not any(set(row) & {"\x1b", "\x07", "\u202e"} for row in rows)
    assert all("withheld → +14165550100" in row for row in rows)
    narrow = [row for row in rows if row.isascii() or "王" not in row]
    assert {row.index("withheld") for row in narrow} == {heading.index("from → to")}
    (wide,) = (row for row in rows if "王" in row)
    assert wide.index("withheld") + wide.count("王") + wide.count("小") + wide.count("明") == heading.index("from → to")


def test_what_changed_failed_expired_or_is_missing_is_said() -> None:
    rows = texts(
        EventTable(),
        [
            Resync(1, "no longer kept", "e.1", {}),
            event("call_updated", changed=["summary", "status"], status="busy", duration=61.6, contactName="Mia"),
            event("recording_failed", code="gone", error="its host answered 410"),
            event("calls_expired", before="2026-01-01T00:00:00.000Z"),
            event("from_the_future"),
        ],
    )[1:]
    expected = ("Events are missing here: no longer kept", "1:02 busy summary, status", "its host answered 410", "00.000Z")
    for row, text in zip(rows, expected, strict=False):
        assert row.endswith(text)
    assert rows[-1].endswith("from_the_future")
