"""What the parts of one call that are there make together: the call, or a reason to wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from tether_rt.ingest.vendors.parts import HOLD_S, PARTS_KEPT_S, Part, WaitingCode

_KEPT_FOR: Final = timedelta(seconds=PARTS_KEPT_S)
_HELD_FOR: Final = timedelta(seconds=HOLD_S)
MAY_BE_MISSING: Final = ("transcript", "summary", "recording")
"""Fields of a completed call that its vendor may never send."""


class Arrived(NamedTuple):
    """A part, the delivery that brought it, and when that came."""

    delivery_id: str
    at: datetime
    part: Part

    @property
    def ends_at(self) -> datetime:
        """Until when it may wait."""
        return self.at + _KEPT_FOR

    @property
    def held_until(self) -> datetime:
        """Until when facts may wait for the parts that they await."""
        return self.at + _HELD_FOR


@dataclass(frozen=True, slots=True)
class Assembled:
    """The call that parts make together."""

    fields: Mapping[str, Any]
    outcome: Mapping[str, Any]
    facts: Arrived
    """The part with the facts."""
    delivery_ids: tuple[str, ...]
    """Of those that brought something, that which completes the call first."""
    expects: frozenset[str]
    """Fields that are still to come."""


class Waits(NamedTuple):
    """Nothing can be made of the parts yet: why, and when to look again."""

    code: WaitingCode
    until: datetime


def assemble(parts: Sequence[Arrived], now: datetime) -> Assembled | Waits:
    """Return the call that the parts make, which are in the order of their arrival, or why it waits.

    Facts that await other parts wait for `HOLD_S` at most. Of two parts that say the same, the earlier one counts.
    """
    facts = next((one for one in reversed(parts) if one.part.has_facts and _is_complete(one, parts)), None)
    held = next((one for one in parts if one.part.has_facts), None)
    if facts is None and held is not None and now >= held.held_until:
        facts = held
    if facts is None:
        if held is not None:
            return Waits(held.part.waiting_code, held.held_until)
        return Waits("call_pending", min(one.ends_at for one in parts))
    fields: dict[str, Any] = dict(facts.part.fields)
    outcome: dict[str, Any] = dict(facts.part.outcome)
    brought = [facts]
    for one in parts:
        more = lacking(fields, one.part.fields)
        more_outcome = lacking(outcome, one.part.outcome)
        if one is not facts and (more or more_outcome or (one.part.audio is not None and not _has_sound(fields, brought))):
            fields |= more
            outcome |= more_outcome
            brought.append(one)
    if outcome.get("voicemail") and fields["status"] == "completed":
        fields["status"] = "no-answer"  # whoever of the parts knows that a machine answered
    completing = parts[-1] if parts[-1] in brought else facts
    ordered = [completing, *(one for one in brought if one is not completing)]
    return Assembled(
        fields=fields,
        outcome=outcome,
        facts=facts,
        delivery_ids=tuple(one.delivery_id for one in ordered),
        expects=facts.part.expects - fields.keys(),
    )


def lacking(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `more` has that is not known yet: no value is replaced."""
    return {name: value for name, value in more.items() if known.get(name) in (None, [], "")}


def missing_of(fields: Mapping[str, Any], *, has_recording: bool, expects: frozenset[str]) -> tuple[str, ...]:
    """Return what a completed call lacks and is not expected to get."""
    there = {name for name in ("transcript", "summary") if fields.get(name)} | ({"recording"} if has_recording else set())
    return tuple(name for name in MAY_BE_MISSING if name not in there and name not in expects)


def _is_complete(facts: Arrived, parts: Sequence[Arrived]) -> bool:
    return facts.part.awaits <= {one.part.name for one in parts}


def _has_sound(fields: Mapping[str, Any], brought: Sequence[Arrived]) -> bool:
    return "recording" in fields or any(one.part.audio is not None for one in brought)
