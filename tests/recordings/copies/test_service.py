"""Copies are made once over all processes, and what stops one is not the end of it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support import audio
from tests.support.waiting import eventually
from tether_rt.errors import NotFound, Unavailable
from tether_rt.mongo import client as mongo
from tether_rt.mongo.documents import CallDocument, CopyDocument
from tether_rt.mongo.recording_copies import MAX_FAILURES, RecordingCopies
from tether_rt.mongo.recording_keys import RecordingKeys
from tether_rt.recordings.audio_type import WAV
from tether_rt.recordings.confined_process import ConfinedProcess
from tether_rt.recordings.copies.service import PlayableCopies
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.store import recording_key
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.metrics import Metrics

CONVERTER = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "started").open("a") as log:
    log.write(sys.argv[2] + "\\n")
if (folder / "killed").exists():
    os.kill(os.getpid(), 9)
while (folder / "slow").exists():
    time.sleep(0.01)
Path(sys.argv[3]).write_bytes(b"copy")
sys.stdout.write("made")
"""
ORGANIZATION = "a" * 24


class Workshop:
    """Processes on real stores, whose converter does what the files in a folder say."""

    def __init__(self, folder: Path, database: mongo.Database) -> None:
        self.folder = folder
        self.database = database
        self.store = DiskStore(folder / "data", min_free_bytes=0)
        self.spool = Spool(folder / "data" / "spool")
        self.uploads = Uploads(folder / "data" / "uploads", self.store, RecordingKeys(database).named)
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.store.start()
        await self.spool.start()
        await self.uploads.start()
        self._running.append(asyncio.create_task(self.uploads.run()))

    def service(self, **bounds: Any) -> PlayableCopies:
        """Return the service of a process that has just started."""
        return self.process(**bounds)[0]

    def process(self, **bounds: Any) -> tuple[PlayableCopies, asyncio.Task[None]]:
        """Return the same, and what runs it."""
        converter = ConfinedProcess([sys.executable, "-c", CONVERTER, str(self.folder)], 60)
        copies = RecordingCopies(self.database)
        service = PlayableCopies(copies, self.store, self.uploads, self.spool, Metrics(), converter, is_possible=True, **bounds)
        task = asyncio.create_task(service.run())
        self._running.append(task)
        return service, task

    def will(self, *ways: str) -> None:
        """Have converters from now on be `killed` or be `slow`."""
        for way in ("killed", "slow"):
            (self.folder / way).unlink(missing_ok=True)
        for way in ways:
            (self.folder / way).touch()

    @property
    def converters(self) -> int:
        """How many were started."""
        log = self.folder / "started"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def files(self) -> int:
        """How many recordings and copies there are."""
        return sum(path.is_file() for path in (self.folder / "data" / "recordings").rglob("*.*"))

    async def call(self) -> CallDocument:
        """Store a call with a recording and return it."""
        call_id, content = uuid.uuid4().hex[:24], audio.wav()
        key = recording_key(ORGANIZATION, call_id, WAV)
        await self.store.put(key, content, "audio/wav")
        recording = {"recordingId": uuid.uuid4().hex[:24], "key": key, "contentType": "audio/wav", "bytes": len(content)}
        call = {"_id": call_id, "callId": call_id, "organizationId": ORGANIZATION, "recordings": [recording]}
        await self.database["calls"].insert_one(call)
        return cast("CallDocument", call)  # as much of one as a copy needs

    async def close(self) -> None:
        self.will()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.uploads.close()
        await self.spool.close()
        await self.store.close()


@pytest.fixture
async def workshop(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    client = mongo.connect(mongodb_uri)
    workshop = Workshop(tmp_path, mongo.database(client, f"t{uuid.uuid4().hex[:12]}"))
    await workshop.start()
    yield workshop
    await workshop.close()
    client.close()


async def copy_of(service: PlayableCopies, call: CallDocument) -> CopyDocument:
    return await service.copy(call, call["recordings"][-1], Deadline())


async def copied(service: PlayableCopies, call: CallDocument) -> CopyDocument:
    """Ask until there is a copy."""
    while True:
        try:
            return await copy_of(service, call)
        except Unavailable as refusal:
            if "being made" not in str(refusal):
                raise
            await asyncio.sleep(0.05)


async def test_of_many_processes_one_makes_the_copy(workshop: Workshop) -> None:
    services, call = [workshop.service() for _ in range(4)], await workshop.call()
    copies = await asyncio.gather(*(copied(service, call) for service in services))
    assert copies == [copies[0]] * 4
    assert (workshop.converters, workshop.files) == (1, 2)
    assert await workshop.database["recording_copies"].count_documents({}) == 0


async def test_a_process_that_ends_leaves_its_copy_to_another(workshop: Workshop) -> None:
    call = await workshop.call()
    workshop.will("slow")
    first, task = workshop.process(lease_s=0.6)
    asking = asyncio.create_task(copy_of(first, call))
    await eventually(lambda: workshop.converters == 1)
    second = workshop.service(lease_s=0.6)
    with pytest.raises(Unavailable, match="being made"):
        await copy_of(second, call)
    task.cancel()
    workshop.will()
    await copied(second, call)
    assert (workshop.converters, workshop.files) == (2, 2)
    asking.cancel()


async def test_a_lease_is_held_as_long_as_the_converter_runs(workshop: Workshop) -> None:
    call = await workshop.call()
    workshop.will("slow")
    first, second = workshop.service(lease_s=0.3, wait_s=1.5), workshop.service(lease_s=0.3)
    with pytest.raises(Unavailable, match="being made"):
        await copy_of(first, call)
    with pytest.raises(Unavailable, match="being made"):
        await copy_of(second, call)
    workshop.will()
    await copied(second, call)
    assert workshop.converters == 1


async def test_a_converter_that_is_killed_is_tried_again_later_and_not_for_ever(workshop: Workshop) -> None:
    call = await workshop.call()
    workshop.will("killed")
    service = workshop.service(retry_after_s=0.2)
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unavailable, match="could not be decoded just now"):
            await copy_of(service, call)
        with pytest.raises((Unavailable, NotFound)):
            await copy_of(service, call)
        await asyncio.sleep(0.3)
    with pytest.raises(NotFound, match=r"audio/wav, and there is no copy of it .* more time or memory than it may"):
        await copy_of(service, call)
    assert workshop.converters == MAX_FAILURES


async def test_a_recording_that_is_gone_is_reported_and_the_next_is_converted(workshop: Workshop) -> None:
    service, gone, there = workshop.service(), await workshop.call(), await workshop.call()
    (workshop.folder / "data" / gone["recordings"][0]["key"]).unlink()
    with pytest.raises(NotFound):
        await copy_of(service, gone)
    assert (await copy_of(service, there))["bytes"] == 4


async def test_a_call_that_is_erased_meanwhile_leaves_no_copy(workshop: Workshop) -> None:
    service, call = workshop.service(), await workshop.call()
    workshop.will("slow")
    asking = asyncio.create_task(copy_of(service, call))
    await eventually(lambda: workshop.converters == 1)
    await workshop.database["calls"].delete_one({"_id": call["_id"]})
    workshop.will()
    with pytest.raises(NotFound):
        await asking
    await eventually(lambda: workshop.files == 1)


async def test_a_store_that_takes_nothing_is_503_and_the_copy_is_made_when_it_is_back(workshop: Workshop) -> None:
    service, call = workshop.service(), await workshop.call()
    folder = (workshop.folder / "data" / call["recordings"][0]["key"]).parent
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("in the way")
    with pytest.raises(Unavailable):
        await copy_of(service, call)
    folder.unlink()
    aside.rename(folder)
    assert (await copied(service, call))["bytes"] == 4


async def test_no_more_than_so_many_recordings_wait(workshop: Workshop) -> None:
    service = workshop.service(max_waiting=2, wait_s=0.05)
    workshop.will("slow")
    calls = [await workshop.call() for _ in range(3)]
    for number, sentence in ((0, "being made"), (1, "being made"), (2, "Too many recordings"), (0, "being made")):
        with pytest.raises(Unavailable, match=sentence):
            await copy_of(service, calls[number])
    workshop.will()
    for call in calls:
        await copied(service, call)
