"""Strategies for what a vendor may post: any JSON, and any body that satisfies the schema, odd and extreme ones foremost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from tether_rt.domain.formats import is_date_time
from tether_rt.errors import BadRequest

_Outcome = TypeVar("_Outcome")

NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1, 0.1, 31.3, 86_400, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 1e18, 1e19, 1e300]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
NAMES = st.one_of(
    st.text(max_size=10), st.sampled_from(["", "a.b", "$set", "_id", "a\0b", "__proto__", "recording2", "metadata "])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)), max_leaves=20
)
"""Any JSON value."""


@st.composite
def deep_values(draw: st.DrawFn) -> Any:
    """Return a value within as many as 400 lists and objects: past what MongoDB, orjson and Python's own stack bear."""
    value: Any = draw(SCALARS)
    for shape in draw(st.lists(st.booleans(), max_size=8)) * draw(st.integers(1, 50)):
        value = [value] if shape else {"a": value}
    return value


@st.composite
def times(draw: st.DrawFn) -> str:
    """Return an RFC 3339 date-time: every year, any offset, leap seconds, fractions of any length, either case."""
    year = draw(st.one_of(st.integers(0, 9999), st.sampled_from([0, 1, 2, 1970, 2016, 9998, 9999])))
    day = f"{year:04d}-{draw(st.integers(1, 12)):02d}-{draw(st.integers(1, 31)):02d}"
    clock = draw(st.one_of(st.times().map(lambda at: f"{at:%H:%M:%S}"), st.sampled_from(["23:59:60", "00:00:00", "18:29:60"])))
    fraction = draw(st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=30).map(lambda digits: f".{digits}")))
    zone = draw(st.one_of(st.sampled_from(["Z", "z", "-00:00", "+05:30", "-05:30"]), st.times().map(lambda at: f"+{at:%H:%M}")))
    return f"{day}{draw(st.sampled_from('Tt'))}{clock}{fraction}{zone}"


VALID_TIMES = times().filter(is_date_time)
PHONE_NUMBERS = st.one_of(
    st.sampled_from(["+14165550100", "+44 20 7946 0958", "+1 (416) 555-0100", "+3906123456", "4165550100", "+999123", ""]),
    st.sampled_from(
        ["anonymous", "Private", "+266696687", "sip:alice@example.com", "SIPS:911@[::1]", "tel:+14165550100", "+5215512345678"]
    ),
    st.text("+0123456789 .()-x", max_size=20),
    st.text(max_size=20),
)
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(["agent", "user"]), "message": st.text(max_size=20)}, optional={"timestamp": NUMBERS}
)


def _with_extra(parts: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    body, extra = parts
    return {**extra, **body}


VALID_BODIES: st.SearchStrategy[dict[str, Any]] = st.tuples(
    st.fixed_dictionaries(
        {
            "direction": st.sampled_from(["inbound", "outbound"]),
            "fromNumber": PHONE_NUMBERS,
            "toNumber": PHONE_NUMBERS,
            "duration": NUMBERS,
            "status": st.sampled_from(["completed", "no-answer", "busy", "failed"]),
        },
        optional={
            "transcript": st.lists(TURNS, max_size=4),
            "summary": st.text(max_size=40),
            "recording": st.text(max_size=40),
            "externalCallId": st.text(max_size=40),
            "agentName": st.text(max_size=20),
            "callerName": st.text(max_size=20),
            "metadata": st.dictionaries(NAMES, st.one_of(VALUES, deep_values()), max_size=4),
            "callStartTime": VALID_TIMES,
        },
    ),
    st.dictionaries(NAMES, st.one_of(VALUES, deep_values()), max_size=3),
).map(_with_extra)
"""Bodies that satisfy the schema, as Python values; whether they keep the other rules is left to chance."""


def tried(work: Callable[[], _Outcome]) -> _Outcome | BadRequest:
    """Return what `work` gives or how it refuses; every other error is one."""
    try:
        return work()
    except BadRequest as refusal:
        return refusal
