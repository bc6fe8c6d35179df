"""Large bodies and the event loop: what takes long is done beside it, in threads, whatever the body is made of."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pybase64
import pytest
from tornado.iostream import IOStream

from tests.support.audio import mp3_of
from tests.support.service import Service, Tenant, sample
from tether_rt.domain.contract import Contract
from tether_rt.http import json_body
from tether_rt.ingest import body_reader, judging
from tether_rt.recordings import base64_audio, embedded_recording

ON_THE_LOOP_BYTES = 128 * 1024
"""The most that is read, checked, decoded or hashed there at once: less than a millisecond's work."""
PIECE_BYTES = 64 * 1024
SENT_BYTES = 30_000_000


class Watched:
    """Functions that note how much they were given and whether the event loop had to wait for them."""

    def __init__(self) -> None:
        self._loop_thread = threading.get_ident()
        self.on_the_loop: list[tuple[str, int]] = []
        self.beside_it: list[tuple[str, int]] = []

    def note(self, name: str, size_bytes: int) -> None:
        (self.on_the_loop if threading.get_ident() == self._loop_thread else self.beside_it).append((name, size_bytes))

    def sized(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, watched; its size is that of its first argument."""

        def watched(given: Any, *args: Any, **kwargs: Any) -> Any:
            self.note(name, len(given))
            return work(given, *args, **kwargs)

        return watched

    def all_of_it(self, name: str, work: Callable[..., Any], size_bytes: int) -> Callable[..., Any]:
        """Return the function, watched, of which each call goes over the whole body."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.note(name, size_bytes)
            return work(*args, **kwargs)

        return watched


def long_transcript() -> dict[str, Any]:
    turns = [{"role": "agent", "message": "Hello, and thank you for calling.", "timestamp": float(n)} for n in range(19_000)]
    return sample("delivery", transcript=turns)


def many_values() -> dict[str, Any]:
    """Return a call of 60 KB that takes as long to read as one of megabytes."""
    return sample("delivery", recording=..., status="no-answer", duration=0, metadata={"lists": [[]] * 20_000})


def large_recording() -> dict[str, Any]:
    return sample(recording=base64.b64encode(mp3_of(9_000_000, salt=uuid.uuid4().bytes)).decode())


@pytest.mark.parametrize("service", ["disk"], indirect=True)
@pytest.mark.parametrize("make", [long_transcript, many_values, large_recording])
async def test_large_json_and_base64_are_read_checked_and_decoded_beside_the_event_loop(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, make: Callable[[], dict[str, Any]]
) -> None:
    sent = await asyncio.to_thread(lambda: json.dumps(make()).encode())
    watched = Watched()
    heavy = len(sent) if make is not large_recording else 0  # what is left of it beside its recording is small
    for module in (json_body, embedded_recording):
        monkeypatch.setattr(module, "orjson", _Watching(orjson, loads=watched.sized("loads", orjson.loads)))
    monkeypatch.setattr(base64_audio, "pybase64", _Watching(pybase64, b64decode=watched.sized("decode", pybase64.b64decode)))
    monkeypatch.setattr(Contract, "is_valid", watched.all_of_it("is_valid", Contract.is_valid, heavy))
    for module, name in ((body_reader, "fingerprint"), (judging, "require_storable")):
        monkeypatch.setattr(module, name, watched.all_of_it(name, getattr(module, name), heavy))
    answer = await tenant.post_call(sent)
    assert answer.status == 201, answer.body
    assert {"loads", "is_valid", "fingerprint"} <= {name for name, _ in watched.beside_it}
    assert [step for step in watched.on_the_loop if step[1] > (ON_THE_LOOP_BYTES if make is not many_values else 0)] == []


@pytest.mark.parametrize("service", ["disk"], indirect=True)
@pytest.mark.parametrize("status", [400, 401, 404], ids=["kept", "refused early", "dropped"])
async def test_whoever_sends_fast_has_the_event_loop_for_one_piece_at_a_time(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    read = {"in this turn": 0, "in one turn at most": 0, "in all": 0}
    read_from_fd = IOStream.read_from_fd

    def counted(stream: IOStream, buffer: memoryview) -> int | None:
        got = read_from_fd(stream, buffer)
        read["in this turn"] += got or 0
        read["in all"] += got or 0
        return got

    async def turns() -> None:
        while True:
            read["in one turn at most"] = max(read["in one turn at most"], read["in this turn"])
            read["in this turn"] = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(IOStream, "read_from_fd", counted)
    path = "/api/calls/ingest" if status != 404 else "/nothing"
    key = tenant.api_key if status != 401 else "wrong"
    counting = asyncio.create_task(turns())
    assert await asyncio.to_thread(_send_fast, service.base_url, path, key) == status
    counting.cancel()
    assert read["in all"] > SENT_BYTES // 2, "the rest is on its way when the refusal comes back"
    assert read["in one turn at most"] <= 4 * PIECE_BYTES


def _send_fast(base_url: str, path: str, key: str) -> int:
    """Post zeros as fast as they go, whatever the server says meanwhile; return the status of its answer."""
    host, port = base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {SENT_BYTES}\r\n\r\n"
        raw.sendall(head.encode())
        raw.sendall(bytes(SENT_BYTES))
        return int(raw.recv(64).split()[1])


class _Watching:
    """A module, some of whose functions are watched."""

    def __init__(self, module: Any, **functions: Callable[..., Any]) -> None:
        self._module = module
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
