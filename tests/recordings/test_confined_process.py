"""Files made to crash, stall or bloat the decoder, and decoders that are killed: the server goes on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.recordings.waveform.recordings import UNDECODABLE, VOICE, file_of, wav
from tests.support import audio
from tests.support.processes import pids_with
from tests.support.waiting import eventually
from tether_rt.domain.peaks import Peaks
from tether_rt.errors import Unavailable
from tether_rt.recordings.confined_process import ConfinedProcess, module_command
from tether_rt.recordings.waveform import decode
from tether_rt.recordings.waveform.decode import BUCKETS, peaks_of

DECODER: Final = module_command(decode.__name__)

FOR_EVER = wav(1, bytes(1_000_000))
"""A recording that keeps a decoder busy for minutes."""


async def peaks(file: Path, timeout_s: float = 60, command: Sequence[str | Path] = DECODER) -> Peaks | None:
    output = await ConfinedProcess([str(part) for part in command], timeout_s).output(file)
    return Peaks.from_bytes(output) if output else None


async def decoder_of(file: Path) -> int:
    """Return the process that decodes `file`, once there is one."""
    await eventually(lambda: bool(pids_with(str(file))))
    return pids_with(str(file))[0]


async def test_the_process_finds_the_same_peaks() -> None:
    assert await peaks(VOICE) == peaks_of(VOICE)


@pytest.mark.parametrize("content", UNDECODABLE)
async def test_a_file_that_cannot_be_decoded_has_no_peaks(tmp_path: Path, content: bytes) -> None:
    assert await peaks(file_of(tmp_path, content)) is None


async def test_a_decoder_that_was_killed_says_nothing_about_the_recording(tmp_path: Path) -> None:
    file = file_of(tmp_path, FOR_EVER)
    # A shell starts what it runs in the background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        decoding = asyncio.create_task(peaks(file))
        os.kill(await decoder_of(file), number)
        with pytest.raises(Unavailable, match="could not be decoded just now") as refusal:
            await decoding
        assert refusal.value.retry_after_s


async def test_a_ctrl_c_in_the_terminal_does_not_reach_the_decoder(tmp_path: Path) -> None:
    """The terminal signals the processes of the server's session."""
    file = file_of(tmp_path, FOR_EVER)
    decoding = asyncio.create_task(peaks(file))
    assert os.getsid(await decoder_of(file)) != os.getsid(0)
    decoding.cancel()
    await asyncio.gather(decoding, return_exceptions=True)


async def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    file = file_of(tmp_path, FOR_EVER)
    with pytest.raises(Unavailable, match="could not be decoded just now"):
        await peaks(file, 0.3)
    assert pids_with(str(file)) == []


async def test_a_caller_who_leaves_leaves_no_process_behind(tmp_path: Path) -> None:
    file = file_of(tmp_path, FOR_EVER)
    decoding = asyncio.create_task(peaks(file))
    await decoder_of(file)
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    assert pids_with(str(file)) == []


async def test_a_decoder_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="could not be decoded just now"):
        await peaks(VOICE, command=[tmp_path / "nothing"])


HOSTILE = """
import os, signal, sys
from tether_rt.recordings.confinement import confine
confine(cpu_s=60)
way = sys.argv[1]
if way.endswith("crashes"):
    os.kill(os.getpid(), signal.SIGSEGV)
if way.endswith("greedy"):
    held = bytearray(2 << 30)
if way.endswith("writes"):
    with open(way, "w") as file:
        file.write("x")
sys.stdout.write(str(sorted(os.environ)))
"""


async def test_a_decoder_that_crashes_or_is_taken_over_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program in its place, under its limits."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("TETHER_SECRET", "not for decoders")
    decoder = ConfinedProcess([sys.executable, "-c", HOSTILE], 60)
    for way in ("crashes", "greedy", "writes"):
        with pytest.raises(Unavailable):
            await decoder.output(tmp_path / way)
    seen = await decoder.output(tmp_path / "well-behaved")
    assert b"TETHER_SECRET" not in seen


@pytest.mark.parametrize("kind", ["mp3", "wav", "flac", "voice"])
async def test_a_broken_recording_is_a_waveform_or_none(tmp_path: Path, kind: str) -> None:
    """Its decoder survives it, and finds peaks of the one shape."""
    whole = {"mp3": audio.mp3(), "wav": audio.wav(), "flac": audio.flac(), "voice": VOICE.read_bytes()[:40_000]}[kind]
    decoded = 0
    for seed in range(8):
        chance = random.Random(f"{kind}{seed}")
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 40)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        found = await peaks(file_of(tmp_path, bytes(broken)))
        if found is not None:
            decoded += 1
            assert 1 <= len(found.loudest) <= BUCKETS
            assert max(found.loudest) in (0, 255)
    assert decoded > 0 or kind == "flac"  # which is stream information alone
