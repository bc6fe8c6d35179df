"""Files made to crash, stall or bloat the converter, or to have it open something else."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Final

import miniaudio
import pytest

from tests.recordings.waveform.recordings import UNDECODABLE, file_of, wav
from tests.support import audio, encoded
from tether_rt.errors import DecoderFailed
from tether_rt.recordings.confined_process import ConfinedProcess, module_command
from tether_rt.recordings.copies.convert import Outcome, convert

KINDS: Final = {
    "amr": encoded.amr,
    "adpcm": encoded.adpcm_in_wav,
    "opus": encoded.opus,
    "m4a": encoded.m4a,
    "webm": encoded.webm,
    "gsm": audio.gsm_in_wav,
    "w64": audio.wave64,
}


async def converted(source: Path, target: Path) -> str:
    command = module_command("tether_rt.recordings.copies.convert")
    return (await ConfinedProcess(command, 60).output(source, target)).decode()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_a_copy_plays_as_long_as_its_original(tmp_path: Path, rate_hz: int) -> None:
    original = encoded.encoded("wav", "pcm_s16le", rate_hz=rate_hz, seconds=3, channels=2)
    assert convert(file_of(tmp_path, original), tmp_path / "copy") == Outcome.MADE
    copy = miniaudio.mp3_get_info((tmp_path / "copy").read_bytes())
    assert copy.duration == pytest.approx(3, abs=0.1)
    assert copy.nchannels == 2
    assert copy.sample_rate in (16_000, 24_000, 48_000)


@pytest.mark.parametrize("content", UNDECODABLE)
async def test_what_cannot_be_decoded_has_no_copy(tmp_path: Path, content: bytes) -> None:
    assert await converted(file_of(tmp_path, content), tmp_path / "copy") == Outcome.UNDECODABLE


def test_a_small_file_that_claims_to_be_very_long_is_given_up(tmp_path: Path) -> None:
    """Each of its samples is a second."""
    endless = file_of(tmp_path, wav(1, bytes(100_000)))
    assert convert(endless, tmp_path / "copy", max_s=60) == Outcome.TOO_LONG
    assert (tmp_path / "copy").stat().st_size < 1_000_000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broken_recording_has_a_copy_or_none(tmp_path: Path, kind: str) -> None:
    """The server hears one of three things of it, whatever is in the file."""
    whole = KINDS[kind]()
    for seed in range(6):
        chance = random.Random(f"{kind}{seed}")
        broken = bytearray(whole[: chance.randint(len(whole) // 2, len(whole))])
        for _ in range(chance.randint(1, 40)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            outcome = await converted(file_of(tmp_path, bytes(broken)), tmp_path / "copy")
        except DecoderFailed:
            continue
        assert outcome in ("made", "undecodable", "too_long")


async def test_a_playlist_in_the_clothes_of_a_song_opens_nothing(tmp_path: Path) -> None:
    """FFmpeg reads lists of addresses and of files; here neither is asked for."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.mp3"
        secret = file_of(tmp_path, encoded.amr()).rename(tmp_path / "secret.amr")
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n".encode()
        concat = f"ffconcat version 1.0\nfile {secret}\nfile {address}\n".encode()
        for content in (playlist, audio.id3(playlist), audio.id3(b"\n" + playlist), concat, audio.id3(concat)):
            assert await converted(file_of(tmp_path, content), tmp_path / "copy") == Outcome.UNDECODABLE
    assert asked == []
