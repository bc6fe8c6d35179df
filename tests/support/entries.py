"""Calls that are ready to be committed, made without HTTP."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from tether_rt.domain.call import Recording, completed_call
from tether_rt.domain.source import Source
from tether_rt.mongo.batch_plan import Entry
from tether_rt.mongo.calls import call_elements
from tether_rt.mongo.client import new_id

NOW = datetime(2026, 5, 15, 9, 12, 34, 567_000, tzinfo=UTC)
_unique = itertools.count(1)


def caller() -> Source:
    """Return the source of a user of a new organization."""
    return Source(new_id(), new_id(), "Sam Poe")


def recording() -> Recording:
    """Return a recording of half a minute that lies nowhere."""
    digest = "0" * 64
    return Recording(new_id(), f"recordings/{'0' * 24}/{digest}.mp3", "audio/mpeg", 123_456, digest, 31.3)


def entry(whose: Source, *, voice: Recording | None = None, fingerprint: str = "f", **changes: Any) -> Entry:
    """Return a call that nobody answered, from a number of its own, with these changes to its body."""
    body = {
        "direction": "inbound",
        "fromNumber": f"+1416555{next(_unique) % 10000:04d}",
        "toNumber": "+14165550100",
        "duration": 0,
        "status": "no-answer",
        **changes,
    }
    call = completed_call(body, whose, now=NOW, fingerprint=fingerprint)
    return Entry(new_id(), call, voice, call_elements(call, voice))
