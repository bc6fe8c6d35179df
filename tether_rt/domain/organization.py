"""An organization's settings. Pure.

`retention` says after how many days recordings and whole calls are erased; None keeps them for ever.
"""

from __future__ import annotations

import re
from typing import Final, TypedDict

from tether_rt.domain.periods import zone_named

_ZONE: Final = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+")


class Retention(TypedDict):
    """After how many days what is erased; None: never."""

    recordingsDays: int | None
    callsDays: int | None


FOR_EVER: Final = Retention(recordingsDays=None, callsDays=None)


def is_time_zone(name: str) -> bool:
    """Say if this is the name of a time zone in the IANA database, such as `America/Toronto`, or `UTC`."""
    return _ZONE.fullmatch(name) is not None and zone_named(name) is not None
