"""A body with the audio of an hour is decoded while it arrives, in bounded memory, seen from a socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawAnswer, RawConnection, connection
from tests.support.site import BUDGET, JSON, LIMIT, MAX_STREAMED, Site, require_refusal, site_on
from tests.support.waiting import eventually
from tether_rt.recordings.spool import Spool

CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}
PIECE = os.urandom(49_152)
TEXT = base64.b64encode(PIECE)
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool")
    await spool.start()
    yield spool
    await spool.close()
    assert list((tmp_path / "spool").iterdir()) == [], "every spool file is gone"


@pytest.fixture
async def site(mongodb_uri: str, spool: Spool) -> AsyncIterator[Site]:
    async with site_on(mongodb_uri, spool) as site:
        yield site
        assert site.web.budget.held_bytes == 0
        assert not site.web.active


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def bodies(pieces: int) -> list[bytes]:
    """Return the pieces of a body with audio."""
    return [b'{"a": 1, "audio": "', *[TEXT] * pieces, b'", "b": [2]}']


async def send(url: str, pieces: int) -> RawAnswer:
    async with connection(url) as raw:
        await raw.request("POST /audio", CHUNKED)
        for piece in bodies(pieces):
            await raw.send(chunk(piece))
        await raw.send(chunk(b""))
        return await raw.answer()


def require_taken(answer: RawAnswer, pieces: int) -> None:
    whole, audio = hashlib.sha256(), hashlib.sha256()
    for piece in bodies(pieces):
        whole.update(piece)
    for _ in range(pieces):
        audio.update(PIECE)
    assert answer.status == 200
    assert answer.body == {
        "bytes": sum(map(len, bodies(pieces))),
        "sha256": whole.hexdigest(),
        "audio": audio.hexdigest(),
        "rest": {"a": 1, "audio": "AUDIO", "b": [2]},
        "fault": None,
    }


async def test_two_large_bodies_at_once_pass_through_a_budget_that_could_hold_neither(site: Site) -> None:
    assert sum(map(len, bodies(100))) > BUDGET
    answers = await asyncio.gather(send(site.url, 100), send(site.url, 150))
    require_taken(answers[0], 100)
    require_taken(answers[1], 150)


@pytest.mark.parametrize("how", ["declared", "in one chunk", "in tiny chunks"])
async def test_it_does_not_matter_how_the_body_is_sent(site: Site, how: str) -> None:
    raw_body = b"".join(bodies(8))
    async with connection(site.url) as raw:
        for _ in range(2):  # on one connection
            if how == "declared":
                await raw.request("POST /audio", JSON, raw_body)
            else:
                size = len(raw_body) if how == "in one chunk" else 701
                await raw.request("POST /audio", CHUNKED)
                await raw.send(b"".join(chunk(raw_body[at : at + size]) for at in range(0, len(raw_body), size)) + chunk(b""))
            require_taken(await raw.answer(), 8)


@pytest.mark.parametrize("body", [{}, {"audio": "QUJD"}, [1, "two"], {"words": "well, " * 50_000}])
async def test_a_body_without_audio_is_taken_as_it_is(site: Site, body: Any) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /audio", JSON, json.dumps(body).encode())
        answer = await raw.answer()
    assert (answer.status, answer.body["rest"], answer.body["audio"]) == (200, body, None)


async def test_bad_base64_is_said_once_the_body_is_here(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /audio", JSON, b'{"audio": "' + TEXT * 10 + b"!" + TEXT * 10 + b'", "b": 2}')
        answer = await raw.answer()
    assert (answer.status, answer.body["audio"], answer.body["rest"]) == (200, None, {"audio": "AUDIO", "b": 2})
    assert f"character {len(TEXT) * 10 + 1} ('!')" in answer.body["fault"]


async def test_a_length_past_the_limit_is_413_before_the_body_comes(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /audio", {**JSON, "Content-Length": str(MAX_STREAMED + 1)})
        require_refusal(await raw.answer(), 413)
        raw.writer.write_eof()


async def test_a_chunked_body_past_the_limit_is_413_while_it_is_still_coming(site: Site, tmp_path: Path) -> None:
    megabyte = b"A" * (1 << 20)
    async with connection(site.url) as raw:
        await raw.request("POST /audio", CHUNKED)
        await raw.send(chunk(b'{"audio": "'))
        for _ in range(MAX_STREAMED >> 20):
            await raw.send(chunk(megabyte))
        assert "96 MB is the limit" in require_refusal(await raw.answer(), 413)
        await eventually(lambda: not os.listdir(tmp_path / "spool"))
        assert site.web.budget.held_bytes == 0


async def test_what_is_beside_the_audio_is_413_past_its_own_limit(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /audio", CHUNKED)
        await raw.send(chunk(b'{"words": "'))
        for _ in range(LIMIT // 50_000 + 2):
            await raw.send(chunk(b"well, " * 10_000))
        assert "1 MB beside its audio" in require_refusal(await raw.answer(), 413)


async def test_what_is_held_is_counted_and_refused_past_the_budget(site: Site) -> None:
    async with connection(site.url) as one, connection(site.url) as two:
        for raw in (one, two):
            await raw.request("POST /audio", CHUNKED)
            await raw.send(chunk(b'{"words": "' + b"well, " * 150_000))
        answers = [asyncio.create_task(raw.answer()) for raw in (one, two)]
        done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        require_refusal(done.pop().result(), 503)
        other = (one, two)[answers.index(next(iter(waiting)))]
        await other.send(chunk(b'"}') + chunk(b""))
        assert (await waiting.pop()).status == 200


async def test_a_client_that_leaves_takes_its_file_along(site: Site, tmp_path: Path) -> None:
    async with connection(site.url) as raw:
        await begin(raw)
        await eventually(lambda: len(os.listdir(tmp_path / "spool")) == 1)
        assert site.web.budget.held_bytes > 0
    await eventually(lambda: not os.listdir(tmp_path / "spool"))
    await eventually(lambda: not site.web.active)


@pytest.mark.parametrize("trickles", [True, False], ids=["trickles", "stops"])
async def test_a_client_that_stalls_is_cut_off_and_its_file_is_gone(site: Site, tmp_path: Path, trickles: bool) -> None:
    site.web.pace_window_s = 1
    async with connection(site.url) as raw:
        await begin(raw)
        answering = asyncio.create_task(raw.answer())
        while trickles and not answering.done():
            await raw.send(chunk(b"A"))
            await asyncio.wait({answering}, timeout=0.1)
        require_refusal(await answering, 408)
        await eventually(lambda: not os.listdir(tmp_path / "spool"))


async def begin(raw: RawConnection) -> None:
    await raw.request("POST /audio", CHUNKED)
    await raw.send(chunk(b'{"audio": "') + chunk(TEXT) * 8)


MEASURED = """
import asyncio, resource, sys
from pathlib import Path
from tests.http.test_streamed_body import require_taken, send
from tests.support.site import site_on
from tether_rt.recordings.spool import Spool

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main():
    spool = Spool(Path(sys.argv[2]))
    await spool.start()
    async with site_on(sys.argv[1], spool) as site:
        await asyncio.gather(*[send(site.url, 300) for _ in range(2)])
        before = peak_mb()
        answers = await asyncio.gather(*[send(site.url, 1250) for _ in range(2)])
        after = peak_mb()
        for answer in answers:
            require_taken(answer, 1250)
    await spool.close()
    print(after - before)

asyncio.run(main())
"""


async def test_memory_does_not_grow_with_the_size_of_the_body(mongodb_uri: str, tmp_path: Path) -> None:
    """Two bodies of 82 MB at once; both their senders and the server are in the measured process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MEASURED,
        mongodb_uri,
        str(tmp_path / "spool"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert int(output) < 32
    assert os.listdir(tmp_path / "spool") == []
