"""What the tests of fetching share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import audio
from tether_rt.errors import BadRequest
from tether_rt.recordings.fetch.fetcher import Limits, RecordingFetcher
from tether_rt.recordings.spool import Spool, SpooledFile

ORGANIZATION = "a" * 24
RECORDING = audio.mp3()
CORPUS = json.loads(Path(__file__).with_name("ssrf_corpus.json").read_text("utf-8"))
LONG_LIMITS = Limits(size_bytes=1_000_000)
QUICK = Limits(size_bytes=1_000_000, connect_s=1, headers_s=0.3, window_s=0.3, window_bytes=3000)
SLOWNESS = ("too slowly", "did not answer in time")


async def fetch(fetcher: RecordingFetcher, spool: Spool, url: str) -> tuple[SpooledFile, bytes]:
    async with spool.writing() as writer:
        file = await fetcher.fetch(url, ORGANIZATION, writer)
        return file, file.path.read_bytes()


async def refusal(fetcher: RecordingFetcher, spool: Spool, url: str) -> str:
    with pytest.raises(BadRequest) as refused:
        await fetch(fetcher, spool, url)
    assert str(refused.value).startswith("recording ")
    return str(refused.value)
