"""A recording is kept when a call names it, and removed when it is certain that none does, also after a crash."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.hung_disk import hang, let_go
from tests.support.waiting import eventually
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.store import key_owner, recording_key
from tether_rt.recordings.upload_journal import UploadJournal
from tether_rt.recordings.uploads import Uploads

ORGANIZATION = "a" * 24
OTHER = "b" * 24
ROOT = Path(__file__).parents[2]


def key(number: int, organization_id: str = ORGANIZATION) -> str:
    return recording_key(organization_id, f"{number:024x}", MP3)


class Calls:
    """The stored calls' recordings; `away` are the organizations whose calls cannot be asked for."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.away: set[str] = set()

    async def named(self, organization_id: str, call_ids: Mapping[str, str]) -> set[str]:
        if organization_id in self.away:
            raise Unavailable("The database cannot be reached just now; send the request again.")
        owners = {key: key_owner(key) for key in self.keys}
        return {key for key, owner in owners.items() if owner and owner.call_id in call_ids.values()}


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = Calls()
        self.store = DiskStore(folder, min_free_bytes=0)

    @asynccontextmanager
    async def uploads(self, **options: Any) -> AsyncIterator[Uploads]:
        uploads = Uploads(self.folder / "uploads", self.store, self.calls.named, retry_s=0.01, **options)
        await uploads.start()
        running = asyncio.create_task(uploads.run())
        try:
            yield uploads
        finally:
            running.cancel()
            await asyncio.wait({running})
            await uploads.close()

    @property
    def recordings(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in (self.folder / "recordings").rglob("*.mp3")}

    @property
    def journals(self) -> list[Path]:
        return list((self.folder / "uploads").iterdir())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    await place.store.start()
    yield place
    await place.store.close()


async def put(uploads: Uploads, *keys: str) -> None:
    for each in keys:
        await uploads.put(each, b"sound", "audio/mpeg")


async def test_a_recording_whose_call_was_committed_stays_and_that_of_a_duplicate_or_a_refused_call_goes(place: Place) -> None:
    async with place.uploads() as uploads:
        await put(uploads, key(1), key(2), key(3))
        assert uploads.undecided == 3
        with uploads.deciding(key(1)) as upload:
            upload.keep()
        with uploads.deciding(key(2)):
            pass
        with suppress(BadRequest), uploads.deciding(key(3)):
            raise BadRequest("The call cannot be stored")
        with uploads.deciding(None):
            pass
        await eventually(lambda: uploads.undecided == 0)
        assert place.recordings == {key(1)}
    assert place.journals == []


async def test_a_recording_in_doubt_stays_if_its_call_turns_out_to_be_stored(place: Place) -> None:
    async with place.uploads(doubt_s=0.05) as uploads:
        await put(uploads, key(1), key(2))
        place.calls.keys.add(key(1))
        for each in (key(1), key(2)):
            with suppress(Unavailable), uploads.deciding(each):
                raise Unavailable("The database did not answer in time; send the request again.")
        await eventually(lambda: uploads.undecided == 0)
        assert place.recordings == {key(1)}


async def test_what_cannot_be_decided_is_tried_again_and_delays_no_other_organization(place: Place) -> None:
    async with place.uploads(doubt_s=0.0) as uploads:
        theirs = key(1, OTHER)
        await put(uploads, key(1), theirs)
        place.calls.away.add(ORGANIZATION)
        for each in (key(1), theirs):
            with suppress(Unavailable), uploads.deciding(each):
                raise Unavailable("The answer was lost.")
        await eventually(lambda: place.recordings == {key(1)})
        place.calls.away.clear()
        await eventually(lambda: place.recordings == set())


async def test_what_is_certain_is_asked_of_nobody(place: Place) -> None:
    """The question writes the organization's counter, and so would delay its calls."""
    async with place.uploads() as uploads:
        place.calls.away.add(ORGANIZATION)
        await put(uploads, key(1))
        with uploads.deciding(key(1)):
            pass
        await eventually(lambda: uploads.undecided == 0)
        assert place.recordings == set()


async def test_an_upload_that_failed_is_looked_at_because_the_store_may_still_be_at_it(place: Place) -> None:
    async with place.uploads(doubt_s=0.05) as uploads:
        source = place.folder / "source"
        hang(source)
        task = asyncio.create_task(uploads.put(key(1), source, "audio/mpeg"))
        await eventually(lambda: uploads.undecided == 1)
        task.cancel()
        await asyncio.wait({task})
        await eventually(lambda: uploads.undecided == 0)
        assert place.recordings == set()
        let_go(source)


async def test_too_many_undecided_recordings_refuse_further_ones(place: Place) -> None:
    async with place.uploads(max_undecided=2) as uploads:
        await put(uploads, key(1), key(2))
        with pytest.raises(Unavailable) as refusal:
            await put(uploads, key(3))
        assert (refusal.value.limit, refusal.value.retry_after_s) == ("undecided", 30)
        with uploads.deciding(key(1)) as upload:
            upload.keep()
        await put(uploads, key(4))


async def test_an_orderly_end_leaves_what_is_undecided_to_the_next_start(place: Place) -> None:
    async with place.uploads() as uploads:
        await put(uploads, key(1), key(2))
        place.calls.keys.add(key(2))
    assert len(place.journals) == 1
    async with place.uploads() as uploads:
        await eventually(lambda: uploads.undecided == 0)
        assert place.recordings == {key(2)}
    assert place.journals == []


PROCESS = """
import asyncio, pathlib, sys
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.uploads import Uploads

folder, *keys = sys.argv[1:]

async def main():
    store = DiskStore(pathlib.Path(folder), min_free_bytes=0)
    uploads = Uploads(pathlib.Path(folder) / "uploads", store, None)
    await store.start()
    await uploads.start()
    for key in keys:
        await uploads.put(key, b"sound", "audio/mpeg")
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_a_killed_process_left_goes_at_the_next_start_and_what_a_living_one_uploads_stays(place: Place) -> None:
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - a fork takes a millisecond
            [sys.executable, "-c", PROCESS, str(place.folder), *keys], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for keys in ((key(1), key(2)), (key(3),))
    ]
    dead, living = processes
    try:
        for process in processes:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "up\n"
        dead.kill()
        dead.wait()
        place.calls.keys.add(key(2))
        async with place.uploads() as uploads:
            await eventually(lambda: uploads.undecided == 0)
            assert place.recordings == {key(2), key(3)}
            living.kill()
            living.wait()
        async with place.uploads() as uploads:
            await eventually(lambda: uploads.undecided == 0)
            assert place.recordings == {key(2)}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_journal_that_is_begun_anew_still_names_what_is_undecided(tmp_path: Path) -> None:
    journal = UploadJournal(tmp_path, max_bytes=1000)
    journal.open()
    undecided = {key(0)}
    for number in range(200):
        undecided.add(key(number))
        journal.note([key(number)], lambda: undecided)
        if number:
            undecided.discard(key(number))
    assert len(list(tmp_path.iterdir())) == 1
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1200
    journal.close(undecided)
    after = UploadJournal(tmp_path)
    after.open()
    assert key(0) in after.adopt()
    assert len(list(tmp_path.iterdir())) == 1


def test_half_a_line_is_no_key_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "dead.uploads").write_text(f"\n{key(1)}\n\n{key(2)[:50]}\n{key(3)}\n../../etc/passwd\n")
    journal = UploadJournal(tmp_path)
    journal.open()
    assert journal.adopt() == [key(1), key(3)]
    journal.close(())
    assert list(tmp_path.iterdir()) == []
