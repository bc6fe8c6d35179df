"""The kinds of sources, the keys of one over time, and addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.contract import CONTRACT
from tether_rt.domain.source import KINDS, MAX_SECRETS, Source, SourceKey, read_public_url, rotated

BEGIN = datetime(2026, 5, 15, 9, tzinfo=UTC)
HOURS = st.floats(0, 1_000).map(lambda hours: timedelta(hours=hours))


@given(st.lists(st.tuples(HOURS, HOURS), max_size=6), HOURS)
def test_a_key_holds_until_its_overlap_is_over_or_two_newer_ones_are_there(
    rotations: list[tuple[timedelta, timedelta]], later: timedelta
) -> None:
    """Each rotation is a pause since the one before and the overlap that it asks for."""
    keys: tuple[SourceKey, ...] = (SourceKey("0", BEGIN),)
    ends: dict[str, datetime | None] = {"0": None}  # when each key ends, worked out from the promise
    now = BEGIN
    for number, (pause, overlap) in enumerate(rotations, start=1):
        now += pause
        keys = rotated(keys, str(number), now, overlap)
        ends = {digest: min(end or now, now) for digest, end in ends.items()}
        ends[str(number - 1)] = now + overlap
        ends[str(number)] = None
    moment = now + later
    live = {key.digest for key in keys if key.is_live(moment)}
    assert live == {digest for digest, end in ends.items() if end is None or moment < end}
    assert str(len(rotations)) in live
    assert len(keys) <= 2


def test_the_contract_has_the_kinds_and_bounds_of_sources() -> None:
    for kind in (*KINDS, "vonage"):
        assert CONTRACT.is_valid("SourceCreateRequest", {"name": "A", "kind": kind}) is (kind in KINDS)
    for count, is_valid in ((1, True), (MAX_SECRETS, True), (0, False), (MAX_SECRETS + 1, False)):
        body = {"name": "A", "kind": "retell", "secrets": ["s"] * count}
        assert CONTRACT.is_valid("SourceCreateRequest", body) is is_valid


def test_every_kind_but_api_has_a_path_for_webhooks() -> None:
    paths = {kind: Source("5f0c9d1e2b3a4c5d6e7f8091", "o", "A", kind).webhook_path for kind in KINDS}
    assert paths == {kind: f"/api/webhook/{kind}/5f0c9d1e2b3a4c5d6e7f8091" for kind in KINDS} | {"api": None}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("https://calls.example.com", "https://calls.example.com"),
        ("https://calls.example.com/", "https://calls.example.com"),
        ("http://localhost:8443/voice/in//", "http://localhost:8443/voice/in"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_a_public_address_is_scheme_host_port_and_path(text: str, read: str) -> None:
    assert read_public_url(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "calls.example.com",
        "ftp://calls.example.com",
        "https://",
        "https://:443",
        "https://calls.example.com:x",
        "https://calls.example.com:70000",
        "https://calls.example.com?",
        "https://calls.example.com/#",
        "https://me@calls.example.com",
        "https://calls.example.com/a b",
        "https://calls.example.com\n",
        "https://caf\u00e9.example.com",
        "https://[::1",
    ],
)
def test_anything_else_is_no_public_address(text: str) -> None:
    assert read_public_url(text) is None


@given(st.text() | st.text().map("https://{}".format))
def test_an_address_that_is_taken_is_one(text: str) -> None:
    read = read_public_url(text)
    if read is None:
        return
    url = urlsplit(read)
    assert url.scheme in ("http", "https")
    assert url.hostname
    assert not url.query + url.fragment
    assert not read.endswith("/")
