"""What fetches hold: small recordings in memory within a bound, large ones in few files, and nothing once they have ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.recordings.fetch.fetching import LONG_LIMITS, ORGANIZATION, RECORDING, fetch
from tests.support import audio
from tests.support.vendor import Answer, Vendor, body, head, raw
from tests.support.waiting import eventually
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import MAX_FILES_OF_ONE
from tether_rt.recordings.spool import MEMORY_BYTES, Spool

ROOT = Path(__file__).parents[3]
LARGE = audio.mp3_of(2 * MEMORY_BYTES)
LIMITS = replace(LONG_LIMITS, size_bytes=10_000_000)


@pytest.mark.parametrize(
    ("answer", "content", "is_in_memory"),
    [
        (body(RECORDING), RECORDING, True),
        (raw(head(200) + RECORDING), RECORDING, True),
        (body(LARGE), LARGE, False),
        (raw(head(200) + LARGE), LARGE, False),
    ],
    ids=["small", "small without a length", "large", "large without a length"],
)
async def test_a_small_recording_stays_in_memory_and_a_large_one_does_not(
    answer: Answer, content: bytes, is_in_memory: bool, vendor: Vendor, spool: Spool
) -> None:
    fetcher = RecordingFetcher([vendor.host], LIMITS)
    received, found = await fetch(fetcher, spool, vendor.serve("/", answer))
    assert found == content
    assert isinstance(received.content, bytes) == is_in_memory


async def test_small_recordings_for_which_there_is_no_room_go_into_files(vendor: Vendor, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_memory_bytes=2 * len(RECORDING))
    await spool.start()
    fetcher = RecordingFetcher([vendor.host], LIMITS)
    url = vendor.serve("/", body(RECORDING))
    for _ in range(2):  # the second time with the room that the first ones gave back
        kinds = []
        for holder in [spool.receiving() for _ in range(3)]:
            receiver = await holder.__aenter__()
            received = await fetcher.fetch(url, ORGANIZATION, receiver)
            content = received.content if isinstance(received.content, bytes) else received.content.read_bytes()
            assert content == RECORDING
            kinds.append((holder, type(received.content) is bytes))
        assert [is_in_memory for _, is_in_memory in kinds] == [True, True, False]
        for holder, _ in kinds:
            await holder.__aexit__(None, None, None)
    await spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


async def test_few_large_recordings_of_an_organization_arrive_at_once(vendor: Vendor, spool: Spool, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def half(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, Content_Length=len(LARGE)) + LARGE[: len(LARGE) // 2])
        await writer.drain()
        await go_on.wait()
        writer.write(LARGE[len(LARGE) // 2 :])

    fetcher = RecordingFetcher([vendor.host], LIMITS)
    url = vendor.serve("/", half)
    tasks = [asyncio.create_task(fetch(fetcher, spool, url)) for _ in range(MAX_FILES_OF_ONE + 8)]
    await eventually(lambda: len(vendor.requests) == len(tasks))
    await eventually(lambda: len(list((tmp_path / "spool").iterdir())) == MAX_FILES_OF_ONE)
    small = vendor.serve("/small", body(RECORDING))
    assert (await fetch(fetcher, spool, small))[1] == RECORDING  # which needs no file
    assert len(list((tmp_path / "spool").iterdir())) == MAX_FILES_OF_ONE
    go_on.set()
    assert {content for _, content in await asyncio.gather(*tasks)} == {LARGE}
    await fetcher.close()


@pytest.mark.parametrize("content", [RECORDING, LARGE], ids=["in memory", "in a file"])
async def test_cancelled_at_any_step_a_fetch_holds_nothing(content: bytes, vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host], LIMITS)
    half = len(content) // 2
    pieces = (head(200, Content_Length=len(content)), content[:half], content[half:])
    url = vendor.serve("/", raw(*pieces, pause_s=0.001))
    ended = 0
    for steps in range(0, 400, 5):
        task = asyncio.create_task(fetch(fetcher, spool, url))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        ended += not task.cancelled()
        assert (fetcher.slots.held, fetcher.slots.waiting) == (0, 0)
    assert spool.reserve(32 << 20)
    spool.release(32 << 20)
    assert (await fetch(fetcher, spool, url))[1] == content
    await fetcher.close()


PROBE = """
import asyncio, pathlib, sys
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.spool import Spool

folder, host = sys.argv[1:]

def memory_kib():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1])

async def main():
    spool = Spool(pathlib.Path(folder))
    await spool.start()
    fetcher = RecordingFetcher([host])

    async def fetch(number):
        async with spool.receiving() as receiver:
            await fetcher.fetch(f"http://{host}/", f"{number % 50:024x}", receiver)

    before_kib = memory_kib()
    tasks = [asyncio.create_task(fetch(number)) for number in range(1000)]
    while fetcher.slots.held + fetcher.slots.waiting < 1000:
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    print(fetcher.slots.held, fetcher.slots.waiting, memory_kib() - before_kib)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    print(fetcher.slots.held, fetcher.slots.waiting)
    await spool.close()

asyncio.run(main())
"""


async def test_a_thousand_fetches_that_wait_take_little_memory(vendor: Vendor, tmp_path: Path) -> None:
    vendor.serve("/", raw(head(200, Content_Length=1_000_000) + bytes(200_000), then="hang"))
    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, str(tmp_path / "spool"), vendor.host, cwd=ROOT, stdout=subprocess.PIPE
    )
    output, _ = await probe.communicate()
    assert probe.returncode == 0
    held, waiting, growth_kib, held_after, waiting_after = map(int, output.split())
    assert (held, waiting, held_after, waiting_after) == (96, 904, 0, 0)
    assert growth_kib < 64 * 1024
