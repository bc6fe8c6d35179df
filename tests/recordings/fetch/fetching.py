"""What the tests of fetching share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import audio
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.spool import Received, Spool

ORGANIZATION = "a" * 24
RECORDING = audio.mp3()
CORPUS = json.loads(Path(__file__).with_name("ssrf_corpus.json").read_text("utf-8"))
LONG_LIMITS = Limits(size_bytes=1_000_000, retry_s=0)
QUICK = Limits(size_bytes=1_000_000, retry_s=0, connect_s=1, headers_s=0.3, window_s=0.3, window_bytes=3000)
SLOWNESS = ("too slowly", "did not answer in time")


async def fetch(fetcher: RecordingFetcher, spool: Spool, url: str) -> tuple[Received, bytes]:
    async with spool.receiving() as receiver:
        received = await fetcher.fetch(url, ORGANIZATION, receiver)
        return received, received.content if isinstance(received.content, bytes) else received.content.read_bytes()


async def refusal(fetcher: RecordingFetcher, spool: Spool, url: str) -> str:
    """Return why nothing is fetched: what the vendor can mend, or what passes by itself."""
    with pytest.raises((BadRequest, Unavailable)) as refused:
        await fetch(fetcher, spool, url)
    assert str(refused.value).startswith("recording ")
    return str(refused.value)
