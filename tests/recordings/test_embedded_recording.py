"""A recording in a JSON body is found by its quotes and unescaped piece by piece, with the same result as a JSON parser."""

from __future__ import annotations

import base64
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.service import SAMPLES, Tenant, sample
from tether_rt.domain.fingerprint import fingerprint
from tether_rt.errors import BadRequest
from tether_rt.recordings.embedded_recording import LargeText, lift_recording

AUDIO = (SAMPLES / "appointment.mp3").read_bytes() * 8
TEXT = base64.b64encode(AUDIO).decode()


@given(
    text=st.text(alphabet=st.sampled_from('aé€😀\\/"\n\0'), max_size=60), ascii_only=st.booleans(), piece=st.integers(13, 40)
)
def test_pieces_put_together_are_the_string(text: str, ascii_only: bool, piece: int) -> None:
    raw = bytearray(json.dumps({"recording": text}, ensure_ascii=ascii_only).encode())
    start = raw.index(b":") + 3
    assert "".join(LargeText(raw, start, len(raw) - 2).pieces(piece)) == text


def test_what_is_no_json_string_is_refused_where_it_is_read() -> None:
    raw = bytearray(b'{"recording":"' + b"A" * 40 + b"\n" + b'"}')
    with pytest.raises(BadRequest, match="not valid JSON"):
        list(LargeText(raw, 14, len(raw) - 2).pieces())


def test_the_rest_has_a_placeholder_where_the_recording_was() -> None:
    raw = bytearray(json.dumps({"a": 1, "recording": TEXT, "b": 2}).encode())
    lifted = lift_recording(raw, 1000)
    assert lifted is not None
    rest, placeholder, text = lifted
    assert json.loads(rest) == {"a": 1, "recording": placeholder, "b": 2}
    assert "".join(text.pieces()) == TEXT


def test_of_several_the_longest_is_lifted() -> None:
    body = {"metadata": {"recording": "B" * 2000, "list": ["recording"]}, "recording": TEXT, "other": {"recording": "C"}}
    lifted = lift_recording(bytearray(json.dumps(body).encode()), 1000)
    assert lifted is not None
    rest, placeholder, text = lifted
    assert json.loads(rest) == {**body, "recording": placeholder}
    assert "".join(text.pieces()) == TEXT


@pytest.mark.parametrize(
    "body",
    [{"a": 1}, {"recording": "short"}, {"recording": 7}, {"recording": None}, {"recording": "A" * 2000 + '\\"' + "B" * 2000}],
)
def test_what_cannot_be_lifted_is_left_to_the_parser(body: object) -> None:
    assert lift_recording(bytearray(json.dumps(body).encode()), 1000) is None


def test_a_recording_says_the_same_lifted_or_parsed_escaped_or_not() -> None:
    whole = fingerprint({"a": 1, "recording": TEXT})
    for raw in (json.dumps({"recording": TEXT, "a": 1}), json.dumps({"recording": TEXT, "a": 1}).replace("/", "\\/")):
        lifted = lift_recording(bytearray(raw.encode()), 1000)
        assert lifted is not None
        rest, _, text = lifted
        assert fingerprint(orjson.loads(rest), text.pieces()) == whole


async def test_a_large_recording_is_stored_as_sent_whatever_its_escapes(tenant: Tenant) -> None:
    for plain, escaped in (("", ""), ("/", "\\/"), ("+", "\\u002B")):
        body = json.dumps(sample(recording=TEXT)).replace(plain, escaped)
        answer = await tenant.post_call(body.encode())
        assert answer.status == 201, answer.body
        again = await tenant.post_call(body.encode())
        assert again.body == {"success": True, "deduplicated": True, "callId": answer.body["callId"]}
        url = (await tenant.get(f"/api/calls/{answer.body['callId']}/recording")).body["audioUrl"]
        async with tenant.http.get(url) as response:
            assert await response.read() == AUDIO


async def test_a_large_string_of_the_same_name_elsewhere_is_not_the_recording(tenant: Tenant) -> None:
    call = sample("delivery")
    voice = call.pop("recording")
    call = {**call, "metadata": {"recording": "B" * 600_000}, "recording": voice}
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    shown = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    assert shown["providerMetadata"]["metadata"] == {"recording": "B" * 600_000}
    assert shown["recordings"][0]["bytes"] == (SAMPLES / "delivery.mp3").stat().st_size
