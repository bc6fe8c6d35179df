"""Peaks of recordings, whole, broken, and made to claim to be very long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recordings.waveform.recordings import UNDECODABLE, VOICE, file_of, wav
from tests.support import audio
from tether_rt.recordings.waveform.decode import BUCKETS, peaks_of


def test_a_waveform_is_a_thousand_numbers_the_loudest_255() -> None:
    found = peaks_of(VOICE)
    assert found is not None
    assert len(found.loudest) == BUCKETS
    assert max(found.loudest) == 255
    assert min(found.loudest) < 100


def test_loud_and_soft_are_where_they_are_in_the_recording(tmp_path: Path) -> None:
    found = peaks_of(file_of(tmp_path, wav(8000, b"\x80" * 8000 + bytes((128 + 100, 128 - 100)) * 4000)))
    assert found is not None
    peaks = found.loudest
    assert set(peaks[: len(peaks) * 4 // 10]) <= {0, 1, 2}
    assert min(peaks[len(peaks) * 6 // 10 :]) > 200


def test_a_wav_that_was_recorded_into_a_pipe_is_decoded_to_its_end(tmp_path: Path) -> None:
    recording = audio.wav(2, codec=7)
    at = recording.index(b"data") + 4
    found = peaks_of(file_of(tmp_path, recording[:at] + bytes(4) + recording[at + 4 :]))
    assert found == peaks_of(file_of(tmp_path, recording))
    assert found is not None
    assert len(found.loudest) == 100


@pytest.mark.parametrize("content", UNDECODABLE)
def test_a_file_that_cannot_be_decoded_has_no_peaks(tmp_path: Path, content: bytes) -> None:
    assert peaks_of(file_of(tmp_path, content)) is None


def test_a_small_file_that_claims_to_be_very_long_is_given_up(tmp_path: Path) -> None:
    """Each of its samples is a second: a megabyte of them would decode to gigabytes."""
    assert peaks_of(file_of(tmp_path, wav(1, bytes(1_000_000))), max_slices=10_000) is None
    assert peaks_of(file_of(tmp_path, wav(1, bytes(100))), max_slices=10_000) is not None
