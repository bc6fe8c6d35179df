"""Stored documents as JSON values: times in the contract's form, everything else as it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tether_rt.domain import iso_ms


def shown(value: Any) -> Any:
    """Return a copy with every datetime as `2026-05-15T09:12:34.000Z`."""
    if isinstance(value, datetime):
        return iso_ms(value)
    if isinstance(value, dict):
        return {name: shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return value
