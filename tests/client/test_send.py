"""Sending with the Python client: what is tried again, what is refused, and what a call may be made of."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.client.drops import FAST
from tests.support.moody import Moody, answer, moody_server
from tests.support.service import SAMPLES, Service, Tenant, missed, sample
from tether_rt.client import Client, GaveUp, MissingExternalCallId, Refused, Retries, Unauthorized, send
from tether_rt.client.retries import retry_after_s

MP3 = SAMPLES / "appointment.mp3"


@pytest.fixture
async def moody() -> AsyncIterator[Moody]:
    async with moody_server() as server:
        yield server


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant()


async def sent_by(server: Tenant | Moody, call: dict[str, Any], **options: Any) -> Any:
    key = server.api_key if isinstance(server, Tenant) else "tk_live_secret"
    url = server.base_url if isinstance(server, Tenant) else server.url
    recording = options.pop("recording", None)
    async with Client(url, api_key=key, **{"retries": FAST, **options}) as client:
        return await client.send(call, recording)


async def test_what_passes_is_tried_again_and_retry_after_is_honoured(moody: Moody) -> None:
    moody.answers = [answer(503, **{"Retry-After": "1"}), answer(429), answer(502), answer(500), answer(408), None, answer(201)]
    told: list[tuple[str, float]] = []
    call = missed()
    sent = await sent_by(moody, call, on_retry=lambda reason, wait_s: told.append((reason, wait_s)))
    assert sent.call_id == "a" * 24
    assert moody.received == [call] * 7
    assert [reason.split(":")[0] for reason, _ in told[:5]] == [
        f"the server answered {status}" for status in (503, 429, 502, 500, 408)
    ]
    assert told[0][1] >= 1 > max(wait_s for _, wait_s in told[1:])


async def test_it_gives_up_in_the_end_and_says_why(moody: Moody) -> None:
    moody.answers = [answer(503)]
    with pytest.raises(GaveUp, match=r"^Gave up after \d+ s: the server answered 503: No\.$") as gave_up:
        await sent_by(moody, missed(), retries=Retries(first_s=0.01, give_up_s=0.05))
    assert gave_up.value.answer is not None
    assert gave_up.value.answer.status == 503
    moody.received.clear()
    moody.answers = [answer(500)]
    with pytest.raises(GaveUp):
        await sent_by(moody, missed(), retries=Retries(first_s=0.001, server_errors=3))
    assert len(moody.received) == 3


async def test_it_gives_up_where_nobody_listens() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with Client(
            f"http://127.0.0.1:{nobody.getsockname()[1]}", api_key="k", retries=Retries(0.01, give_up_s=0.05)
        ) as one:
            with pytest.raises(GaveUp) as gave_up:
                await one.send(missed())
    assert gave_up.value.answer is None


async def test_other_servers_and_redirects_are_refused_and_not_followed(moody: Moody) -> None:
    moody.answers = [answer(301, Location=f"{moody.url}/elsewhere")]
    with pytest.raises(Refused, match="301: No"):
        await sent_by(moody, missed())
    assert len(moody.received) == 1


@pytest.mark.parametrize("body", [b"<h1>Welcome</h1>", b'{"success": true}', b'{"success": false, "callId": "1"}', b"[]"])
async def test_a_page_of_something_in_between_is_no_answer_even_with_200(moody: Moody, body: bytes) -> None:
    moody.answers = [web.Response(body=body), answer(201)]
    told: list[str] = []
    sent = await sent_by(moody, missed(), on_retry=lambda reason, wait_s: told.append(reason))
    assert sent.call_id == "a" * 24
    assert told == ["the server answered 200: This is not an answer of a Tether server: is the address right?"]


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_giving_up_takes_a_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="give_up_s must be 0 or more"):
        Retries(give_up_s=seconds)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 503, "message": "The service is unavailable."}},
        {"success": False, "errors": [{"code": 10000, "message": "Busy"}], "result": None},
        {"error": 5, "code": 5, "field": 5, "errors": ["Busy"]},
        {"error": None, "errors": None},
        {"errors": {"upstream": "Busy"}},
    ],
)
async def test_json_of_something_in_between_is_no_reason_to_stop(moody: Moody, body: dict[str, Any]) -> None:
    moody.answers = [web.json_response(body, status=503), answer(201)]
    assert (await sent_by(moody, missed())).call_id == "a" * 24
    moody.answers = [web.json_response(body, status=400)]
    with pytest.raises(Refused, match="400: This is not an answer of a Tether server") as refused:
        await sent_by(moody, missed())
    assert refused.value.errors == ()


async def test_a_server_below_a_path_is_found() -> None:
    async with moody_server("/tether") as server:
        assert (await sent_by(server, missed())).call_id == "a" * 24
        server.url += "/"
        assert (await sent_by(server, missed())).call_id == "a" * 24


async def test_a_refusal_says_everything_that_is_wrong(tenant: Tenant) -> None:
    with pytest.raises(Refused) as refused:
        await sent_by(tenant, missed(status="answered", duration="long"))
    error = refused.value
    assert (error.status, {fault.field for fault in error.errors}) == (400, {"status", "duration"})
    assert (error.code, error.field, error.error) == (error.errors[0].code, error.errors[0].field, error.errors[0].error)
    assert error.request_id
    assert all(fault.error in str(error) for fault in error.errors)


async def test_a_key_is_in_no_log_and_no_error(tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tenant.api_key = "tk_live_mistyped"
    with pytest.raises(Unauthorized) as refused:
        await sent_by(tenant, missed())
    async with Client(tenant.base_url, token="tr_live_mistyped", retries=FAST) as client:
        with pytest.raises(Unauthorized) as unknown:
            await anext(aiter(client.follow()))
    for error in (refused.value, unknown.value):
        told = (
            "".join(traceback.format_exception(error))
            + repr(error)
            + repr(error.__cause__)
            + repr(error.__context__)
            + caplog.text
        )
        assert "mistyped" not in told


async def test_a_repetition_is_told_with_what_differs(tenant: Tenant) -> None:
    call = missed()
    first = await sent_by(tenant, call)
    assert (first.deduplicated, first.differs, first.warnings) == (False, (), ())
    again = await sent_by(tenant, {**call, "agentName": "Alex"})
    assert (again.call_id, again.deduplicated, again.differs) == (first.call_id, True, ("agentName",))
    odd = await sent_by(tenant, missed(toNumber="+14165550123", fromNumber="+14165550123"))
    assert [(warning.code, bool(warning.message)) for warning in odd.warnings] == [("same_number", True)]


@pytest.mark.parametrize("recording", [MP3, MP3.read_bytes()], ids=["file", "bytes"])
async def test_a_recording_goes_along(tenant: Tenant, recording: Path | bytes) -> None:
    sent = await sent_by(tenant, sample(voice=False), recording=recording)
    call = (await tenant.get(f"/api/calls/{sent.call_id}")).body["call"]
    assert call["recordingStatus"] == "stored"


async def test_what_a_call_is_made_of(moody: Moody) -> None:
    at = datetime(2026, 5, 15, 9, 10, tzinfo=UTC)
    await sent_by(moody, missed(callStartTime=at), recording="https://vendor.example/abc.mp3")
    assert moody.received[0]["callStartTime"] == "2026-05-15T09:10:00.000+00:00"
    assert moody.received[0]["recording"] == "https://vendor.example/abc.mp3"
    with pytest.raises(ValueError, match="must have a time zone"):
        await sent_by(moody, missed(callStartTime=at.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="must be a Path, bytes, or an address"):
        await sent_by(moody, missed(), recording="call.mp3")
    with pytest.raises(TypeError, match="Moody cannot be sent as JSON"):
        await sent_by(moody, missed(metadata={"x": moody}))
    for missing in (missed(externalCallId=...), missed(externalCallId="")):
        with pytest.raises(MissingExternalCallId, match="would be stored twice"):
            await sent_by(moody, missing)
    assert len(moody.received) == 1


async def test_a_call_is_tried_without_being_stored(tenant: Tenant) -> None:
    async with Client(tenant.base_url, api_key=tenant.api_key, retries=FAST) as client:
        assert (await client.validate(missed())).verdict == "would_create"
        refused = await client.validate(missed(status="answered"))
    assert (refused.verdict, refused.errors[0].field) == ("would_refuse", "status")
    assert (await tenant.get("/api/calls/history")).body["total"] == 0


async def test_a_script_needs_no_event_loop(tenant: Tenant) -> None:
    sent = await asyncio.to_thread(send, tenant.base_url, missed(), api_key=tenant.api_key, retries=FAST)
    assert (await tenant.get(f"/api/calls/{sent.call_id}")).status == 200


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"url": "calls.example"}, "url must begin with http:// or https://, not 'calls.example'"),
        ({"url": "https://"}, "url must be an address such as https://host/tether, not 'https://'"),
        ({"url": "https://a:b"}, "url must be an address such as https://host/tether, not 'https://a:b'"),
        ({"url": "https://a/?b"}, "url must be an address such as https://host/tether, not 'https://a/?b'"),
        ({"url": "https://user:secret@a"}, "url must have no user and no password in it"),
        ({"url": "http://a", "api_key": "k\n"}, "api_key must be one word, such as tk_live_…"),
        ({"url": "http://a", "token": ""}, "token must be one word, such as tr_live_…"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_at_once(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        Client(**arguments)
    assert str(refused.value) == sentence


async def test_what_is_needed_is_said() -> None:
    client = Client("http://a", api_key="k")
    with pytest.raises(RuntimeError, match="async with"):
        await client.send(missed())
    with pytest.raises(ValueError, match="this needs token"):
        client.follow()
    with pytest.raises(ValueError, match="after must be the position of an event"):
        Client("http://a", token="t").follow("yesterday")


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 5, 15, tzinfo=UTC)
    date = format_datetime(now + timedelta(seconds=90), usegmt=True)
    values = ("7", " 7 ", date, format_datetime(now - timedelta(seconds=9), usegmt=True), "soon", "-1", "")
    assert [retry_after_s({"Retry-After": value}, now) for value in values] == [7, 7, 90, 0, 0, 0, 0]
    assert retry_after_s({}) == 0
    far = ("9" * 400, "Fri, 15 May 2126 00:00:00 GMT", "Fri, 99999999999999999999 May 2026 00:00:00 GMT")
    assert [retry_after_s({"Retry-After": value}, now) for value in far] == [3600, 3600, 0]
