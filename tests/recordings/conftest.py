"""Fixtures: a vendor's server, a spool and a fetcher."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.recordings.fetch.fetching import LONG_LIMITS
from tests.support.vendor import Vendor, vendor_server
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.spool import Spool


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with vendor_server() as vendor:
        yield vendor


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool")
    await spool.start()
    yield spool
    await spool.close()
    assert list((tmp_path / "spool").iterdir()) == [], "every spool file is gone"


@pytest.fixture
def fetcher(spool: Spool, vendor: Vendor) -> RecordingFetcher:
    return RecordingFetcher([vendor.host], LONG_LIMITS)


@pytest.fixture
def no_vendor_makes_us_log_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and record.name != "tether.recordings"] == []
