"""Waveforms are made once, one at a time, and a decoder that fails is not the end of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import audio
from tests.support.processes import pids_with
from tests.support.program import program
from tests.support.service import missed
from tests.support.waiting import eventually
from tether_rt.domain.call import Recording
from tether_rt.errors import NotFound, Unavailable
from tether_rt.mongo import client as mongo
from tether_rt.mongo.documents import RecordingDocument
from tether_rt.mongo.waveforms import Waveforms
from tether_rt.recordings.audio_type import WAV
from tether_rt.recordings.confined_process import ConfinedProcess
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.store import recording_key
from tether_rt.recordings.waveform import decode
from tether_rt.recordings.waveform.service import WaveformService
from tether_rt.runtime.deadlines import Deadline

DECODER = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "started").open("a") as log:
    log.write(sys.argv[2] + "\\n")
if (folder / "killed").exists():
    os.kill(os.getpid(), 9)
while (folder / "slow").exists():
    time.sleep(0.01)
sys.stdout.write("" if (folder / "cannot").exists() else "\\1peaks")
"""


class Workshop:
    """A service on real stores, whose decoder does what the files in a folder say."""

    def __init__(self, folder: Path, database: mongo.Database) -> None:
        self.folder = folder
        self.database = database
        self.store = DiskStore(folder / "data", min_free_bytes=0)
        self.spool = Spool(folder / "data" / "spool")
        self._running: list[asyncio.Task[None]] = []

    def service(self, **bounds: Any) -> WaveformService:
        """Return a service of a process that has just started."""
        decoder = ConfinedProcess([sys.executable, "-c", DECODER, str(self.folder)], 60)
        service = WaveformService(Waveforms(self.database), self.store, self.spool, decoder, **bounds)
        self._running.append(asyncio.create_task(service.run()))
        return service

    def will(self, *ways: str) -> None:
        """Have decoders from now on be `killed`, be `slow`, or answer that they `cannot`."""
        for way in ("killed", "slow", "cannot"):
            (self.folder / way).unlink(missing_ok=True)
        for way in ways:
            (self.folder / way).touch()

    @property
    def decoders(self) -> int:
        """How many decoders were started."""
        log = self.folder / "started"
        return len(log.read_text().splitlines()) if log.exists() else 0

    async def recording(self, seconds: float = 1.0) -> Recording:
        """Store a recording and return it."""
        content = audio.wav() + uuid.uuid4().bytes
        key = recording_key("a" * 24, uuid.uuid4().hex * 2, WAV)
        await self.store.put(key, content, "audio/wav")
        return Recording(uuid.uuid4().hex[:24], key, "audio/wav", len(content), "b" * 64, seconds)

    async def made(self, count: int) -> list[str]:
        """Return the ids of the recordings whose waveforms are stored, in that order, once there are `count`."""

        async def are_made() -> bool:
            return await self.database["peaks"].count_documents({}) == count

        await eventually(are_made)
        return [one["_id"] async for one in self.database["peaks"].find().sort("createdAt")]

    async def close(self) -> None:
        self.will()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.spool.close()
        await self.store.close()


@pytest.fixture
async def workshop(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    client = mongo.connect(mongodb_uri)
    workshop = Workshop(tmp_path, mongo.database(client, f"t{uuid.uuid4().hex[:12]}"))
    await workshop.store.start()
    await workshop.spool.start()
    yield workshop
    await workshop.close()
    client.close()


def document(recording: Recording) -> RecordingDocument:
    return {
        "recordingId": recording.recording_id,
        "key": recording.key,
        "contentType": recording.content_type,
        "bytes": recording.size_bytes,
        "sha256": recording.sha256,
        "duration": recording.duration_s,
    }


async def peaks(service: WaveformService, recording: Recording) -> bytes | None:
    found = await service.peaks(document(recording), Deadline())
    return None if found is None else found.loudest


async def test_a_waveform_is_made_once_for_all_who_ask(workshop: Workshop) -> None:
    service, recording = workshop.service(), await workshop.recording()
    assert await asyncio.gather(*(peaks(service, recording) for _ in range(10))) == [b"peaks"] * 10
    assert await peaks(workshop.service(), recording) == b"peaks"
    assert workshop.decoders == 1


async def test_a_recording_that_cannot_be_decoded_is_not_tried_again(workshop: Workshop) -> None:
    recording = await workshop.recording()
    workshop.will("cannot")
    for _ in range(2):
        assert await peaks(workshop.service(), recording) is None
    assert workshop.decoders == 1


async def test_a_recording_whose_decoder_was_killed_is_tried_again_later(workshop: Workshop) -> None:
    service, recording = workshop.service(), await workshop.recording()
    workshop.will("killed")
    for _ in range(3):  # not at once: it would take the others' turn
        with pytest.raises(Unavailable, match="could not be made just now") as refusal:
            await peaks(service, recording)
        assert refusal.value.retry_after_s
    assert workshop.decoders == 1
    workshop.will()
    assert await peaks(service, await workshop.recording()) == b"peaks"
    assert await peaks(workshop.service(), recording) == b"peaks"


async def test_a_recording_that_an_older_decoder_could_not_decode_is_tried_once_more(workshop: Workshop) -> None:
    recording = await workshop.recording()
    await workshop.database["peaks"].insert_one({"_id": recording.recording_id, "peaks": None})
    workshop.will("cannot")
    for _ in range(2):
        assert await peaks(workshop.service(), recording) is None
    assert workshop.decoders == 1
    assert await workshop.database["peaks"].count_documents({"peaks": None, "decoder": decode.VERSION}) == 1


async def test_peaks_of_an_older_decoder_are_good(workshop: Workshop) -> None:
    recording = await workshop.recording()
    await workshop.database["peaks"].insert_one({"_id": recording.recording_id, "peaks": b"old"})
    assert await peaks(workshop.service(), recording) == b"old"
    assert workshop.decoders == 0


async def test_nobody_waits_for_ever_and_the_waveform_is_there_later(workshop: Workshop) -> None:
    service, recording = workshop.service(wait_s=0.1), await workshop.recording()
    workshop.will("slow")
    for _ in range(2):
        with pytest.raises(Unavailable, match="not ready yet") as refusal:
            await peaks(service, recording)
        assert refusal.value.retry_after_s
    workshop.will()
    await workshop.made(1)
    assert await peaks(service, recording) == b"peaks"
    assert workshop.decoders == 1


async def test_no_more_than_so_many_recordings_wait(workshop: Workshop) -> None:
    service = workshop.service(max_waiting=2, wait_s=0.05)
    workshop.will("slow")
    recordings = [await workshop.recording() for _ in range(3)]
    for recording, sentence in ((0, "not ready yet"), (1, "not ready yet"), (2, "Too many waveforms"), (0, "not ready yet")):
        with pytest.raises(Unavailable, match=sentence) as refusal:
            await peaks(service, recordings[recording])
        assert refusal.value.retry_after_s
    workshop.will()
    await workshop.made(2)


async def test_a_long_recording_is_decoded_ahead_and_gives_way_to_one_that_is_asked_for(workshop: Workshop) -> None:
    workshop.will("slow")
    service = workshop.service(wait_s=0.05)
    long = [await workshop.recording(seconds=600) for _ in range(3)]
    short = await workshop.recording()
    for recording in (short, *long):
        service.announce(recording)
    await eventually(lambda: workshop.decoders == 1)
    with pytest.raises(Unavailable, match="not ready yet"):
        await peaks(service, short)
    workshop.will()
    made = await workshop.made(4)
    assert made == [one.recording_id for one in (long[0], short, long[1], long[2])]


async def test_a_recording_that_is_gone_is_reported_and_the_next_is_decoded(workshop: Workshop) -> None:
    service, gone, there = workshop.service(), await workshop.recording(), await workshop.recording()
    (workshop.folder / "data" / gone.key).unlink()
    with pytest.raises(NotFound):
        await peaks(service, gone)
    assert await peaks(service, there) == b"peaks"


async def test_a_decoder_killed_in_a_running_server_leaves_a_waveform_for_later(mongodb_uri: str, tmp_path: Path) -> None:
    """As by the out-of-memory killer; a long recording, which is decoded as soon as its call is stored."""
    recording = b64encode(audio.wav(600)).decode()
    variables = {"TETHER_DATABASE": f"t{uuid.uuid4().hex[:12]}"}
    async with program(tmp_path, mongodb_uri, variables=variables) as running:
        tenant = await running.tenant()
        call_id = (await tenant.post_call(missed(recording=recording))).body["callId"]
        server = running.server.process.pid

        async def is_decoding() -> bool:
            return bool(pids_with(decode.__name__, server))

        await eventually(is_decoding)
        (decoder,) = pids_with(decode.__name__, server)
        assert os.getsid(decoder) != os.getsid(server), "Ctrl-C is for the server alone"
        os.kill(decoder, signal.SIGKILL)
        answer = await tenant.get(f"/api/calls/{call_id}/peaks")
        assert (answer.status, answer.body["error"]) == (503, "The waveform could not be made just now; ask again later.")
        assert int(answer.headers["Retry-After"]) > 0
        assert await running.database["peaks"].count_documents({}) == 0
    async with program(tmp_path, mongodb_uri, variables=variables) as running:
        url = f"{running.server.url}/api/calls/{call_id}/peaks"
        async with running.http.get(url, headers={"Authorization": f"Bearer {tenant.token}"}) as response:
            assert response.status == 200, await response.text()
            assert len((await response.json())["peaks"]) == decode.BUCKETS
