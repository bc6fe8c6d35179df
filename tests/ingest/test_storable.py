"""From bytes to a body that MongoDB can hold: whatever comes, the answer is a body or a `BadRequest`, in time with its size."""

from __future__ import annotations

import json
import random
from typing import Any

import bson
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.bodies import VALID_BODIES, VALUES, deep_values, tried
from tether_rt.domain.fingerprint import fingerprint
from tether_rt.errors import BadRequest
from tether_rt.http.json_body import MAX_JSON_BYTES, MAX_VALUES, parse
from tether_rt.ingest.storable import MAX_DEPTH, require_storable

BODY = {"direction": "inbound", "fromNumber": "+14165550100", "toNumber": "+14165550199", "duration": 1, "status": "busy"}


def text(**changes: Any) -> bytes:
    """Return a body with these changes as JSON text; integers of any size, unlike orjson."""
    return json.dumps({**BODY, **changes}).encode()


def require(raw: bytes) -> dict[str, Any]:
    """Return what the text says if it can be stored."""
    body: dict[str, Any] = parse(raw)
    require_storable(body, raw)
    return body


def nested(levels: int) -> Any:
    """Return 1 within that many objects."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


# ---------------------------------------------------------------------- reading


@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda raw: raw.encode("utf-8", "surrogatepass"))))
@example(raw=b"")
@example(raw=b"\xef\xbb\xbf{}")
@example(raw=b"[" * 100_000)
@example(raw=b'{"a":' * 100_000)
@example(raw=b'{"a":"\\ud800"}')
@example(raw=b'{"a":1e999}')
@example(raw=b'{"a":NaN}')
@example(raw=b'{"a":"\0"}')
@settings(deadline=None)
def test_whatever_bytes_come_are_json_or_a_bad_request(raw: bytes) -> None:
    value = tried(lambda: parse(raw))
    if isinstance(value, BadRequest):
        assert str(value).startswith(("The body is", "The body must be JSON in UTF-8"))
        assert str(value).isprintable()
        return
    assert value == with_whole_characters(json.loads(raw, parse_int=float))


def with_whole_characters(value: Any) -> Any:
    """Return JSON with U+FFFD in place of each half of a surrogate pair that is without its other half."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [with_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {with_whole_characters(name): with_whole_characters(one) for name, one in value.items()}
    return value


def test_more_than_can_be_read_in_no_time_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest, match="too large to store beside its recording"):
        parse(b'{"a":"' + b"a" * MAX_JSON_BYTES + b'"}')
    for piece in (b"[],", b"0,", b'"",', b"{},", b'{"a":[]},'):
        raw = b'{"a":[' + piece * MAX_VALUES + b"0]}"
        with pytest.raises(BadRequest, match="too large: it holds more than 100,000 values"):
            parse(raw)
    assert len(parse(b"[" + b"0," * (MAX_VALUES - 1) + b"0]")) == MAX_VALUES


# ---------------------------------------------------------------------- what can be stored


@given(body=VALID_BODIES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(body={**BODY, "duration": 1e300, "metadata": {"a": nested(500)}})
@example(body={**BODY, "extra": [2**64] * 3})
@example(body={**BODY, "duration": 10**300})
def test_what_passes_can_be_encoded_for_the_database_and_the_rest_is_a_bad_request(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    read = tried(lambda: require(raw))
    if isinstance(read, BadRequest):
        assert str(read)
        return
    assert fingerprint(read)
    document = bson.decode(bson.encode(read))
    assert document == read == json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (text(duration=2**63), "duration"),
        (text(metadata={"a": -(2**63) - 1}), "metadata.a"),
        (text(metadata={"a": [0, {"b": 2**64}]}), "metadata.a[1].b"),
        (text(metadata={"": 10**30}), "metadata."),
        (text(**{"": 10**30}), '""'),
        (text(extra=2**70), "extra"),
        (text(transcript=[{"role": "user", "message": "", "timestamp": 2**63}]), "transcript[0].timestamp"),
        (text(metadata={"a": 1e300, "b": 2**70}), "metadata.b"),
        (text(metadata={"a": [1] * 70_000}, extra=2**70), "extra"),
        (text(extra="large")[:-8] + b"9" * 300 + b"}", "extra"),
    ],
    ids=range(10),
)
def test_an_integer_past_64_bits_is_refused_with_its_own_place(raw: bytes, place: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        require(raw)
    assert str(refusal.value) == f"{place} is an integer past 64 bits: send it as a string"


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 1e19, -1e19, 9.3e18, -9223372036854775808.0, 1e300, 5e-324])
def test_every_number_that_fits_is_kept_as_it_is(number: float) -> None:
    kept = require(text(metadata={"a": number}, b=[number]))
    assert (kept["metadata"]["a"], kept["b"]) == (number, [number])
    assert type(kept["metadata"]["a"]) is type(number)


def test_a_name_with_a_nul_is_refused_with_its_place_and_a_value_with_one_is_kept() -> None:
    with pytest.raises(BadRequest, match=r"^metadata\.list\[1\]\.ab has a NUL character in its name"):
        require(text(metadata={"list": [0, {"a\0b": 1}]}))
    with pytest.raises(BadRequest, match=r"^extra has a NUL character in its name"):
        require(text(**{"ex\0tra": 1}))
    assert require(text(metadata={"a": "\0"}))["metadata"] == {"a": "\0"}


def test_the_last_level_that_is_taken_is_the_last_that_is_promised() -> None:
    require(text(metadata=nested(MAX_DEPTH)))
    for value in (nested(MAX_DEPTH + 1), nested(900)):
        with pytest.raises(BadRequest, match=rf"^metadata\.a\.a.* is nested too deeply: {MAX_DEPTH} levels are the limit$"):
            require(text(metadata=value))


def test_a_deep_value_that_was_replaced_by_a_later_one_of_its_name_is_read_without_harm() -> None:
    raw = text(metadata="deep", duration=1e300).replace(b'"deep"', b"[" * 1000 + b"]" * 1000 + b', "metadata": {}')
    assert parse(raw)["metadata"] == {}
    with pytest.raises(BadRequest, match="nested too deeply"):
        require(raw)


def test_only_lists_and_objects_count_as_levels() -> None:
    brackets = '[{"' * 50 + "\\"
    call = require(text(metadata={brackets: [brackets]}, extra=1e300))
    assert call["metadata"] == {brackets: [brackets]}


@given(value=deep_values())
@settings(deadline=None)
def test_any_depth_is_either_stored_or_refused(value: Any) -> None:
    raw = text(metadata={"a": value}, extra=value)
    body = tried(lambda: require(raw))
    assert str(body) if isinstance(body, BadRequest) else bson.decode(bson.encode(body))["extra"] == value


def test_a_long_place_is_cut_and_still_begins_with_its_field() -> None:
    value: Any = 2**70
    for _ in range(80):
        value = {"x" * 1000: value}
    with pytest.raises(BadRequest) as refusal:
        require(text(metadata=value))
    assert str(refusal.value).startswith("metadata.xxx")
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1e300] * 90_000, id="numbers that might be integers past 64 bits"),
        pytest.param([[1e300]] * 45_000, id="each in a list of its own"),
        pytest.param({f"{index}": {"a": 1e300} for index in range(45_000)}, id="each in an object of its own"),
        pytest.param([nested(80)] * 1_150, id="deep ones side by side"),
        pytest.param([{"x" * 1_000: 1e300}] * 5_000, id="under long names"),
    ],
)
def test_the_work_grows_with_the_size_and_not_with_its_square(values: Any) -> None:
    # Nobody would see this end if the text were read again for each number.
    body = require(text(metadata={"a": values}))
    assert fingerprint(body)


# ---------------------------------------------------------------------- fingerprints


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: _shuffled(value[name], chance) for name in names}
    return [_shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@given(body=VALID_BODIES, chance=st.randoms(use_true_random=False), indent=st.sampled_from([None, 0, 3]))
@settings(deadline=None)
def test_order_of_names_spacing_and_escapes_make_no_difference(
    body: dict[str, Any], chance: random.Random, indent: int | None
) -> None:
    one = orjson.loads(json.dumps(body))
    other = orjson.loads(json.dumps(_shuffled(body, chance), indent=indent, ensure_ascii=False))
    assert fingerprint(one) == fingerprint(other)


@given(one=VALUES, other=VALUES)
@settings(deadline=None)
def test_another_value_makes_another_fingerprint(one: Any, other: Any) -> None:
    first, second = (orjson.loads(json.dumps(value)) for value in (one, other))
    first_text, second_text = (orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() for value in (first, second))
    for changes in ({"metadata": first}, {"metadata": second}), ({"recording": first_text}, {"recording": second_text}):
        prints = {fingerprint({**BODY, **change}) for change in changes}
        assert (len(prints) == 1) == (first_text == second_text)


def test_a_recording_is_told_from_its_own_text_in_another_field() -> None:
    bodies: list[dict[str, Any]] = [{**BODY}, {**BODY, "recording": ""}, {**BODY, "recording": "a"}, {**BODY, "summary": "a"}]
    assert len({fingerprint(body) for body in bodies}) == len(bodies)


def test_a_body_too_deep_for_a_fingerprint_has_none() -> None:
    assert fingerprint({**BODY, "metadata": nested(900)}) is None
