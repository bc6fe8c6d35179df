"""Links to recordings that are changed, stale, swapped or stretched."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.conftest import r2_settings, settings_on
from tests.support.s3 import S3Server
from tests.support.service import SAMPLES, SECRET, Answer, Service, Tenant, running, sample
from tether_rt.auth.credentials import Keyring

KEYRING = Keyring(SECRET)
VOICE = (SAMPLES / "appointment.mp3").read_bytes()


class Link:
    """A signed link in its parts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=True)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path
        self.recording_id = parts.path.rpartition("/")[2]
        (self.expires,) = query["expires"]
        (self.signature,) = query["signature"]
        assert set(query) == {"expires", "signature"}

    def with_(self, **changes: str) -> str:
        """Return its path and query, changed."""
        return f"{self.path}?{urlencode({'expires': self.expires, 'signature': self.signature, **changes})}"


async def link_of(tenant: Tenant) -> Link:
    """Post a call and return the link to its recording."""
    posted = await tenant.post_call(sample())
    assert posted.status == 201, posted.body
    return Link((await tenant.get(f"/api/calls/{posted.body['callId']}/recording")).body["audioUrl"])


@pytest.fixture(scope="module")
async def link(tenant: Tenant) -> Link:
    return await link_of(tenant)


async def get(tenant: Tenant, path: str) -> Answer:
    """Get as anybody who has the link."""
    return await tenant.request("GET", path)


async def test_a_link_needs_no_other_credential_and_plays_the_recording(tenant: Tenant, link: Link) -> None:
    assert link.origin == tenant.base_url
    assert (await get(tenant, link.with_())).body == VOICE
    assert 0 < int(link.expires) - time.time() <= 600


async def test_a_link_that_was_changed_plays_nothing(tenant: Tenant, other: Tenant, link: Link) -> None:
    another, theirs = await link_of(tenant), await link_of(other)
    later = str(int(link.expires) + 1)
    first = link.signature[0]
    changed = {
        "a later end": link.with_(expires=later),
        "an earlier end": link.with_(expires=str(int(link.expires) - 1)),
        "one character": link.with_(signature=("B" if first == "A" else "A") + link.signature[1:]),
        "the other case": link.with_(signature=link.signature.swapcase()),
        "one less": link.with_(signature=link.signature[:-1]),
        "one more": link.with_(signature=link.signature + "A"),
        "padding": link.with_(signature=link.signature + "="),
        "a space": link.with_(signature=" " + link.signature),
        "nothing": link.with_(signature=""),
        "other letters": link.with_(signature="é" * 43),
        "another recording's signature": link.with_(signature=another.signature, expires=another.expires),
        "another organization's signature": link.with_(signature=theirs.signature, expires=theirs.expires),
        "another recording with this signature": link.with_().replace(link.recording_id, another.recording_id),
        "another organization's recording with this signature": link.with_().replace(link.recording_id, theirs.recording_id),
        "a second signature": link.with_() + "&signature=A",
        "a second end": link.with_() + f"&expires={later}",
        "signed for the file": link.with_(signature=KEYRING.link_signature(link.path, int(link.expires))),
        "signed with another secret": link.with_(
            signature=Keyring("another secret that is long enough").link_signature(link.recording_id, int(link.expires))
        ),
        "signed with the end inside the name": link.with_(
            signature=KEYRING.link_signature(f"{link.expires}:{link.recording_id}", int(link.expires))
        ),
    }
    for how, path in changed.items():
        answer = await get(tenant, path)
        assert answer.status == 403, how
        assert answer.body["error"] == "The link is not valid or has expired: ask for the recording again."
    assert (await get(tenant, link.with_())).status == 200


@pytest.mark.parametrize("expires", ["", "-1", "09999999999", "1e9", "9" * 13, "0x10", "1.5", "never", "\u0661", "1 "])
async def test_an_end_that_is_no_number_is_refused(tenant: Tenant, link: Link, expires: str) -> None:
    answer = await get(tenant, link.with_(expires=expires))
    assert answer.status in (400, 403)
    assert answer.body["success"] is False


async def test_a_link_ends_when_it_says(tenant: Tenant, link: Link) -> None:
    for expires, status in ((int(time.time()) - 1, 403), (0, 403), (int(time.time()) + 60, 200)):
        signature = KEYRING.link_signature(link.recording_id, expires)
        assert (await get(tenant, link.with_(expires=str(expires), signature=signature))).status == status


async def test_a_session_is_no_link_and_a_link_no_session(tenant: Tenant, link: Link) -> None:
    for headers in ({"Authorization": f"Bearer {tenant.token}"}, {"Cookie": f"tether_session={tenant.token}"}):
        assert (await tenant.request("GET", link.path, headers=headers)).status == 400
    query = link.with_().partition("?")[2]
    assert (await get(tenant, f"/api/calls/history?{query}")).status == 401
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await tenant.request(method, link.with_())).status == 405


async def test_a_signature_for_what_is_not_there_opens_nothing(tenant: Tenant, link: Link) -> None:
    for recording_id in ("0" * 24, "..", "recordings", "$ne"):
        signature = KEYRING.link_signature(recording_id, int(link.expires))
        path = link.with_(signature=signature).replace(link.recording_id, recording_id)
        assert (await get(tenant, path)).status in (403, 404), recording_id


@pytest.fixture
async def in_r2(mongodb_uri: str, tmp_path: Path, s3_server: S3Server) -> AsyncIterator[Service]:
    """A server that keeps recordings in R2."""
    async with running(settings_on(mongodb_uri, tmp_path, **r2_settings(s3_server))) as service:
        yield service


async def test_a_link_into_r2_fixes_what_the_browser_is_told(in_r2: Service) -> None:
    """R2 sends no `nosniff`, so the type and the disposition are part of what is signed."""
    tenant = await in_r2.tenant()
    posted = await tenant.post_call(sample())
    url = (await tenant.get(f"/api/calls/{posted.body['callId']}/recording")).body["audioUrl"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
    assert query["response-content-type"] == "audio/mpeg"
    assert re.fullmatch(r'inline; filename="recording-[0-9a-f]{12}\.mp3"', query["response-content-disposition"])
    assert query["X-Amz-Expires"] == "600"
    assert query["X-Amz-SignedHeaders"] == "host"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert S3Server.SECRET_ACCESS_KEY not in url
    async with tenant.http.get(url) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/mpeg")
        assert await answer.read() == VOICE
    origin = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    page = await tenant.request("GET", "/")
    assert f"media-src 'self' {origin};" in page.headers["Content-Security-Policy"]
