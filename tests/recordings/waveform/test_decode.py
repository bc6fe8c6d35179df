"""Waveforms, and files made to crash, stall or bloat the decoders."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import audio
from tests.support.service import SAMPLES
from tether_rt.recordings.waveform import decode, decoder_process
from tether_rt.recordings.waveform.decode import BUCKETS, peaks_of
from tether_rt.recordings.waveform.decoder_process import peaks_apart

VOICE = SAMPLES / "appointment.mp3"


def wav(rate_hz: int, samples: bytes) -> bytes:
    """8 bits, mono, at any rate."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz, 1, 8)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "recording"
    path.write_bytes(content)
    return path


def test_a_waveform_is_a_thousand_numbers_the_loudest_255() -> None:
    found = peaks_of(VOICE)
    assert found is not None
    assert len(found) == BUCKETS
    assert max(found) == 255
    assert min(found) < 100


def test_loud_and_soft_are_where_they_are_in_the_recording(tmp_path: Path) -> None:
    found = peaks_of(file_of(tmp_path, wav(8000, b"\x80" * 8000 + bytes((128 + 100, 128 - 100)) * 4000)))
    assert found is not None
    assert set(found[: len(found) * 4 // 10]) <= {0, 1, 2}
    assert min(found[len(found) * 6 // 10 :]) > 200


@pytest.mark.parametrize(
    "content", [b"", b"x", audio.m4a(), audio.webm(), audio.ogg(), audio.mp3()[:10], b"RIFF" + bytes(40), b"fLaC" + bytes(40)]
)
async def test_what_cannot_be_decoded_has_none(tmp_path: Path, content: bytes) -> None:
    file = file_of(tmp_path, content)
    assert peaks_of(file) is None
    assert await peaks_apart(file) is None


async def test_the_process_apart_finds_the_same() -> None:
    assert await peaks_apart(VOICE) == peaks_of(VOICE)


def test_a_small_file_that_claims_to_be_very_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its samples is a second: a megabyte of them would decode to gigabytes."""
    monkeypatch.setattr(decode, "MOST_SLICES", 10_000)
    assert peaks_of(file_of(tmp_path, wav(1, bytes(1_000_000)))) is None
    assert peaks_of(file_of(tmp_path, wav(1, bytes(100)))) is not None


async def test_a_decoder_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(tmp_path, wav(1, bytes(1_000_000)))
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*args: object, **options: object) -> asyncio.subprocess.Process:
        started.append(await start(*args, **options))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    assert await peaks_apart(file, patience_s=0.3) is None
    assert [process.returncode for process in started] == [-9]


async def test_who_asks_no_more_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(tmp_path, wav(1, bytes(1_000_000)))
    started: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
    start = asyncio.create_subprocess_exec

    async def noted(*args: object, **options: object) -> asyncio.subprocess.Process:
        process = await start(*args, **options)  # type: ignore[arg-type]
        started.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    asking = asyncio.create_task(peaks_apart(file))
    process = await started.get()
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert process.returncode == -9


IN_ITS_PLACE = """
import os, resource, signal, sys
from tether_rt.recordings.waveform import decode
decode._confine()
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
    (tmp_path / "hostile_decoder.py").write_text(IN_ITS_PLACE)
    monkeypatch.setattr(decode, "__name__", "hostile_decoder")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])]))
    monkeypatch.setenv("TETHER_SECRET", "not for decoders")
    for way in ("crashes", "greedy", "writes"):
        assert await peaks_apart(tmp_path / way) is None, way
    seen = await peaks_apart(tmp_path / "well-behaved")
    assert seen is not None
    assert b"TETHER_SECRET" not in seen


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from(["mp3", "wav", "flac", "voice"]))
def test_a_broken_recording_is_a_waveform_or_none(tmp_path: Path, seed: int, kind: str) -> None:
    """Whether or not its decoder survives it."""
    chance = random.Random(seed)
    whole = {"mp3": audio.mp3(), "wav": audio.wav(), "flac": audio.flac(), "voice": VOICE.read_bytes()[:40_000]}[kind]
    broken = bytearray(whole)
    for _ in range(chance.randint(1, 40)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    path = tmp_path / "broken"
    path.write_bytes(broken)

    async def decoded() -> bytes | None:
        return await decoder_process.peaks_apart(path)

    found = asyncio.run(decoded())
    assert found is None or 1 <= len(found) <= BUCKETS
