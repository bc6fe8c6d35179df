"""A source's credentials reach its vendor's hosts, and no others."""

from __future__ import annotations

import pytest

from tests.recordings.fetch.fetching import ORGANIZATION, RECORDING
from tests.support.vendor import Vendor, body, redirect
from tether_rt.recordings.fetch.credentials import Credentials
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.url_policy import judge_url
from tether_rt.recordings.spool import Spool

TWILIO = Credentials(("twilio.com",), "AC1", "päss")


async def authorizations(
    fetcher: RecordingFetcher, spool: Spool, url: str, vendor: Vendor, given: Credentials
) -> list[str | None]:
    """Fetch and return the header of each request that the vendor got."""
    before = len(vendor.requests)
    async with spool.receiving() as receiver:
        await fetcher.attempt(url, ORGANIZATION, receiver, given)
    return [request.headers.get("authorization") for request in vendor.requests[before:]]


@pytest.mark.parametrize(("user", "header"), [("AC1", "Basic QUMxOnDDpHNz"), (None, "Bearer päss")], ids=["basic", "bearer"])
def test_a_user_makes_it_basic(user: str | None, header: str) -> None:
    assert Credentials(("twilio.com",), user, "päss").for_target(judge_url("https://api.twilio.com/a", frozenset())) == header


@pytest.mark.parametrize(
    "url",
    [
        "http://api.twilio.com/a",
        "https://twilio.com.example.org/a",
        "https://nottwilio.com/a",
        "https://example.org/twilio.com",
    ],
)
def test_another_host_or_one_without_tls_gets_none(url: str) -> None:
    assert TWILIO.for_target(judge_url(url, frozenset())) is None
    assert TWILIO.for_target(judge_url("https://twilio.com/a", frozenset())) is not None


async def test_a_redirect_to_another_host_does_not_take_them_along(
    vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    given = Credentials(("127.0.0.1",), "AC1", "pass")
    vendor.serve("/recording", body(RECORDING))
    url = vendor.serve("/within", redirect(vendor.url("/recording")))
    assert await authorizations(fetcher, spool, url, vendor, given) == ["Basic QUMxOnBhc3M="] * 2
    other = Credentials(("twilio.com",), "AC1", "pass")
    assert await authorizations(fetcher, spool, url, vendor, other) == [None, None]
