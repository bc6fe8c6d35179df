"""Vendors' events, as they are and with anything wrong in them, and what an adapter makes of each."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from hypothesis import strategies as st

from tether_rt.domain.fields import CALL_FIELDS
from tether_rt.domain.source import Source, SourceSettings
from tether_rt.ingest.vendors.parts import Adapted, Dead, Part
from tether_rt.ingest.vendors.reading import Payload, Unusable

SAMPLES: Final = Path(__file__).parents[1] / "ingest" / "vendors" / "samples"
EXPECTED: Final[dict[str, Any]] = json.loads((SAMPLES / "expected.json").read_text())
ARRIVED: Final = datetime(2026, 9, 21, 15, 0, 0, tzinfo=UTC)
SOURCE: Final = Source("5" * 24, "6" * 24, "Front office", "standard")

Adapter = Callable[[Payload, Source], Adapted]


def source(**settings: Any) -> Source:
    return Source(SOURCE.id, SOURCE.organization_id, SOURCE.name, SOURCE.kind, SourceSettings(**settings))


def sample(name: str) -> Any:
    """Return a sample's payload; of a form the first value of each name."""
    content = (SAMPLES / name).read_text()
    if name.endswith(".json"):
        return json.loads(content)
    return dict(reversed(parse_qsl(content, keep_blank_values=True)))


def changed(root: Any, **values: Any) -> Any:
    """Return a payload with other values: of `data__id=None` what is at `data.id` is taken out."""
    other = copy.deepcopy(root)
    for place, value in values.items():
        *parents, last = place.split("__")
        inside = other
        for step in parents:
            inside = inside.setdefault(step, {})
        if value is None:
            inside.pop(last, None)
        else:
            inside[last] = value
    return other


def adapted(adapt: Adapter, root: Any, source: Source = SOURCE) -> Adapted:
    """Return what an adapter makes of a payload, as its caller does, and hold it to what every adapter promises."""
    payload = Payload(root, ARRIVED)
    try:
        found = adapt(payload, source)
    except Unusable as reason:
        found = Dead(reason.code, str(reason), reason.place, None, tuple(payload.notes))
    for note in found.notes:
        is_there = note.path is None or note.note.startswith("left out") or payload.at(note.path) is not None
        assert is_there, f"{note} has a path that is not there"
        assert note.path is not None or note.note, f"{note} says nothing"
    if isinstance(found, Part):
        named = {note.field for note in found.notes if note.field and not note.note.startswith("left out")}
        named |= {field.partition(".")[0] for field in named}
        filled = {field for field, value in found.fields.items() if value is not None}
        assert not found.is_own_body or filled & set(CALL_FIELDS) <= named
        assert found.is_own_body or {*found.fields, *(f"outcome.{name}" for name in found.outcome)} <= named
        assert found.is_own_body or not any(value is None for value in (*found.fields.values(), *found.outcome.values()))
    else:
        assert found.error
    return found


def part(adapt: Adapter, root: Any, source: Source = SOURCE) -> Part:
    found = adapted(adapt, root, source)
    assert isinstance(found, Part), found
    return found


def dead(adapt: Adapter, root: Any, source: Source = SOURCE) -> tuple[str, str | None]:
    """Return the code and the place of what must be dead."""
    found = adapted(adapt, root, source)
    assert isinstance(found, Dead), found
    return found.code, found.field


def same_as_expected(name: str, fields: Any) -> None:
    """Compare fields of a call with what `expected.json` says of the sample that makes it."""
    expected = EXPECTED[name]
    for field in ("status", "direction", "fromNumber", "toNumber", "duration", "agentName", "callerName", "summary"):
        if field in expected and expected[field] != "the source's name":
            assert fields.get(field) == expected[field], field
    if "startTime" in expected:
        start = datetime.fromisoformat(expected["startTime"])
        assert datetime.fromisoformat(fields["callStartTime"]) == start
    assert len(fields.get("transcript", ())) == expected.get("turns", 0)
    assert ("recording" in fields) == str(expected.get("recording", "")).startswith("url")


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((0, -1, 1.5, 1e300, 2**63, 10**30, 1e15, float("inf"), float("nan"))),
    st.sampled_from(("", " ", "0", "-1", "1e300", "NaN", "null", "ä" * 300, "x" * 100_000, "\0", "😀", "١٢٣", "anonymous")),
    st.sampled_from(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Mon, 99 Sep 2026 14:13:24 +9999")),
    st.text(max_size=20),
    st.sampled_from(([], {}, [None], [[]], [{}], {"": None}, ["x"] * 300, [{"role": None}] * 300)),
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, item in inner for place in ((*at, step), *_places(item, (*at, step)))]


@st.composite
def mutated(draw: st.DrawFn, root: Any, odd: st.SearchStrategy[Any] = _ODD) -> Any:
    """Draw a payload with up to four values that are missing or anything else."""
    if draw(st.integers(0, 30)) == 0:
        return draw(_ODD)
    other = copy.deepcopy(root)
    for _ in range(draw(st.integers(1, 4))):
        places = _places(other)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        inside = other
        for step in parents:
            inside = inside[step]
        if draw(st.booleans()):
            del inside[last]
        else:
            inside[last] = copy.deepcopy(draw(odd))
    return other
