"""How much is measured: three sizes of everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Scale:
    """`repeats` of each measurement, alternating between contestants; the rest by scenario."""

    name: str
    repeats: int
    warm_s: float
    run_s: float
    connections: tuple[int, ...]
    dashboards: tuple[int, ...]
    deliveries: int
    """In one fan-out measurement."""
    rates: tuple[int, ...]
    latency_s: float
    idle_dashboards: int
    fetched_bytes: int
    stored: tuple[int, ...]
    organizations: tuple[int, ...]
    turns: tuple[int, ...]
    queries: int
    loads: int
    """Of the dashboard, each in a profile of its own."""
    scrolled: int
    """Calls in the list that is scrolled to its end."""
    live_s: float
    """How long a dashboard is watched while calls arrive."""

    def longer(self) -> Scale:
        """Return the scale for calls that wait for others across a network: each sample twice as long."""
        return replace(self, warm_s=2 * self.warm_s, run_s=2 * self.run_s)

    def rounds(self, contestants: Sequence[_T]) -> Iterator[_T]:
        """Yield every contestant `repeats` times, forward and back in turn, so that a drift touches all alike."""
        for number in range(self.repeats):
            yield from contestants if number % 2 == 0 else reversed(contestants)


_MEGABYTE: Final = 1_000_000

SCALES: Final = {
    scale.name: scale
    for scale in (
        Scale(
            "quick", 1, 0.5, 1.5, (1, 16, 128), (100, 1_000), 40_000, (50,), 2.5, 1_000, 150 * _MEGABYTE,
            (1_000, 10_000), (1, 10), (2, 20, 200), 20, 3, 10_000, 24.0,
        ),
        Scale(
            "normal", 3, 0.7, 2.5, (1, 16, 64, 128, 256), (100, 1_000, 5_000), 100_000, (10, 50, 200), 4.0, 5_000,
            150 * _MEGABYTE, (1_000, 100_000), (1, 10, 1_000), (2, 20, 200, 2_000), 30, 5, 100_000, 120.0,
        ),
        Scale(
            "full", 5, 2.0, 8.0, (1, 16, 64, 128, 256), (100, 1_000, 5_000), 400_000, (10, 50, 200), 15.0, 5_000,
            150 * _MEGABYTE, (1_000, 100_000, 1_000_000), (1, 10, 1_000), (2, 20, 200, 2_000), 100, 7, 100_000, 3600.0,
        ),
    )
}  # fmt: skip
