"""What operators see: metrics in Prometheus' own words, logs one JSON object a line, and nothing in either that is private."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.people import signed_in
from tests.support.service import ROOT, SECRET, ServerProcess, missed, sample
from tests.support.waiting import eventually
from tether_rt.runtime.logs import JsonLines, TurnHandler, log
from tether_rt.runtime.metrics import Metrics

LOGGER = logging.getLogger("tether.test")


def line(**fields: Any) -> dict[str, Any]:
    """Return what one log call becomes."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    handler = Keep()
    LOGGER.addHandler(handler)
    try:
        log(LOGGER, logging.WARNING, "something", **fields)
    finally:
        LOGGER.removeHandler(handler)
    (text,) = lines
    assert "\n" not in text
    return dict(json.loads(text))


# ---------------------------------------------------------------------- logs


def test_a_log_line_is_one_json_object_with_its_fields() -> None:
    found = line(requestId="abc", status=200, ms=1.5, organizationId=None)
    assert found.pop("at").endswith("+00:00")
    assert found == {
        "level": "warning",
        "logger": "tether.test",
        "event": "something",
        "requestId": "abc",
        "status": 200,
        "ms": 1.5,
        "organizationId": None,
    }


@pytest.mark.parametrize(
    "value", ["two\nlines", '"}\n{"level":"error"', "\u2028\x00\x1b[31m", object(), {1: 2}, {"a": b"\xff"}, 1 << 70, "\ud800"]
)
def test_no_value_breaks_a_line_or_stops_the_log(value: object) -> None:
    assert "value" in line(value=value)


def test_a_trace_is_one_field_of_its_line() -> None:
    record = LOGGER.makeRecord("tether.test", logging.ERROR, __file__, 1, "failed", (), None)
    try:
        raise ValueError("the reason")
    except ValueError:
        record.exc_info = sys.exc_info()
    found = json.loads(JsonLines().format(record))
    assert "ValueError: the reason" in found["exception"]


def test_standard_error_has_nothing_but_json_lines_whoever_logs() -> None:
    program = """
import logging, warnings
from tether_rt.runtime.logs import configure_logging
configure_logging()
logging.getLogger("tether.x").info("ours")
logging.getLogger("tornado.general").warning("a line with %s", "arguments")
logging.getLogger("tornado.access").info("GET /secret")
logging.getLogger("botocore").info("a header")
logging.getLogger("pymongo.command").debug("a document")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("somebody.else").exception("failed")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(text) for text in done.stderr.splitlines()]
    assert [found["event"] for found in lines] == ["ours", "a line with arguments", "failed"]
    assert done.stdout == ""


async def test_what_one_turn_of_the_loop_logs_is_written_in_one_go_after_it() -> None:
    written: list[str] = []
    handler = handler_that_writes_to(written)
    for number in range(3):
        handler.handle(LOGGER.makeRecord("tether.test", logging.INFO, "", 0, f"line {number}", (), None))
    assert written == []
    await asyncio.sleep(0)
    assert written == ["line 0\nline 1\nline 2\n"]


async def test_a_warning_is_written_at_once_behind_what_waits() -> None:
    written: list[str] = []
    handler = handler_that_writes_to(written)
    handler.handle(LOGGER.makeRecord("tether.test", logging.INFO, "", 0, "before", (), None))
    handler.handle(LOGGER.makeRecord("tether.test", logging.WARNING, "", 0, "warning", (), None))
    assert written == ["before\nwarning\n"]
    await asyncio.to_thread(handler.handle, LOGGER.makeRecord("tether.test", logging.INFO, "", 0, "a thread's", (), None))
    assert written[1:] == ["a thread's\n"]


def test_what_waits_is_written_when_the_process_ends() -> None:
    program = """
import asyncio, logging
from tether_rt.runtime.logs import configure_logging, log
configure_logging()
async def main():
    log(logging.getLogger("tether.x"), logging.INFO, "last", number=1)
    raise SystemExit(3)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert [json.loads(text)["number"] for text in done.stderr.splitlines()] == [1]


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    program = """
import asyncio, logging
from tether_rt.runtime.logs import configure_logging, log
configure_logging()
async def main():
    for level in (logging.INFO, logging.WARNING, logging.INFO):
        log(logging.getLogger("tether.x"), level, "a line")
        await asyncio.sleep(0)
    print("still here", flush=True)
asyncio.run(main())
"""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=write_end, check=False)
    finally:
        os.close(write_end)
    assert done.stdout == b"still here\n"


def handler_that_writes_to(written: list[str]) -> TurnHandler:
    """Return one whose stream keeps what each write had."""

    class Kept(io.StringIO):
        def write(self, text: str, /) -> int:
            written.append(text)
            return len(text)

    return TurnHandler(Kept())


# ---------------------------------------------------------------------- metrics


def test_the_exposition_is_understood_by_prometheus_own_parser() -> None:
    metrics = Metrics()
    metrics.requests.labels("GET", "200").inc()
    metrics.commit_calls.observe(3)
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert families["tether_http_requests"].samples[0].value == 1
    assert families["tether_commit_batch_calls"].type == "histogram"
    assert "process_open_fds" in families
    assert all(family.documentation for family in families.values())


def test_two_processes_in_one_program_count_for_themselves() -> None:
    one, two = Metrics(), Metrics()
    one.frames.inc()
    assert one.registry.get_sample_value("tether_frames_sent_total") == 1
    assert two.registry.get_sample_value("tether_frames_sent_total") == 0


async def test_a_loop_that_was_held_up_is_seen() -> None:
    metrics = Metrics()
    task = asyncio.create_task(metrics.run())
    await eventually(lambda: metrics.registry.get_sample_value("tether_loop_lag_seconds_count"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert metrics.registry.get_sample_value("tether_loop_lag_seconds_sum") is not None


async def test_no_log_line_or_metric_holds_what_a_vendor_sent_or_a_secret(mongodb_uri: str, tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, TETHER_DATABASE=f"t{uuid.uuid4().hex[:12]}")
    await process.start()
    async with signed_in(process, mongodb_uri) as tenant:
        call = sample("delivery", callerName="Swordfish Tuna", summary="the word is swordfish", agentName="swordfish agent")
        call["transcript"][0]["message"] = "swordfish"
        created = await tenant.post_call(call)
        assert created.status == 201
        broken = (
            missed(fromNumber="+1 416 swordfish"),
            missed(metadata={"swordfish\0": 1}),
            missed(direction="swordfish"),
            sample("delivery", recording="http://swordfish.invalid/a.mp3?key=swordfish"),
            b'{"swordfish"',
        )
        for body in broken:
            assert (await tenant.post_call(body)).status == 400
        await tenant.get(f"/api/calls/{created.body['callId']}/recording")
        await tenant.get("/api/calls/history?search=swordfish")
        await tenant.request("POST", "/api/auth/login", json={"email": "swordfish@example.com", "password": "swordfish"})
        metrics = (await tenant.request("GET", "/metrics")).body.decode()
    assert await process.stop() == 0
    assert len([line for line in process.lines() if line["event"] == "request"]) == 11
    said = (process.log_path.read_text() + metrics).lower()
    private = ("swordfish", SECRET, tenant.api_key, tenant.token, tenant.email, call["fromNumber"], call["toNumber"], "4165550")
    for text in private:
        assert text.lower() not in said
