"""Slots with a limit in all, for each organization and for each host, handed out to organizations in turn.

The limits for one organization and one host leave slots to the others when hosts are slow. When no slot is left, each one that
becomes free goes to the next organization that waits: one that sends a thousand times as much as the others does not delay them
a thousand times as long.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tether_rt.errors import Unavailable


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many may hold a slot and how many may wait for one, and for how long."""

    total: int
    per_organization: int
    per_host: int
    waiting: int
    waiting_per_organization: int
    wait_s: float


class FairSlots:
    """The slots of a process; an organization that waits for several hosts is given their slots in turn, too."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._held = 0
        self._held_by: Counter[str] = Counter()
        self._held_at: Counter[str] = Counter()
        # Organization → host → those who wait, the next one first. The dictionaries are queues: who was served goes to the end.
        self._queues: dict[str, dict[str, dict[asyncio.Future[None], None]]] = {}
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many slots are held."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return self._waiting

    @asynccontextmanager
    async def slot(self, organization_id: str, host: str) -> AsyncIterator[None]:
        """Hold a slot; raises `Unavailable` when too many wait already, and when none becomes free in time."""
        if self._is_free(organization_id, host):
            self._take(organization_id, host)
        else:
            await self._wait(organization_id, host)
        try:
            yield
        finally:
            self._release(organization_id, host)

    def must_yield(self, organization_id: str) -> bool:
        """Whether an organization holds more than its equal share of the slots, and another one waits for want of it."""
        if self._held < self._limits.total or not any(other != organization_id for other in self._queues):
            return False
        return self._held_by[organization_id] * len({*self._held_by, *self._queues}) > self._limits.total

    def _is_free(self, organization_id: str, host: str) -> bool:
        return (
            self._held < self._limits.total
            and self._held_by[organization_id] < self._limits.per_organization
            and self._held_at[host] < self._limits.per_host
        )

    def _take(self, organization_id: str, host: str) -> None:
        self._held += 1
        self._held_by[organization_id] += 1
        self._held_at[host] += 1

    def _release(self, organization_id: str, host: str) -> None:
        self._held -= 1
        _subtract_one(self._held_by, organization_id)
        _subtract_one(self._held_at, host)
        while (next_one := self._next()) is not None:
            self._hand_over(*next_one)

    async def _wait(self, organization_id: str, host: str) -> None:
        """Return when a slot has been taken for the caller."""
        limits = self._limits
        if self._waiting >= limits.waiting or self._waiting_of[organization_id] >= limits.waiting_per_organization:
            raise _busy()
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(organization_id, {}).setdefault(host, {})[slot] = None
        self._waiting += 1
        self._waiting_of[organization_id] += 1
        try:
            async with asyncio.timeout(limits.wait_s):
                await slot
        except BaseException as error:
            self._forget(organization_id, host, slot)
            if not slot.cancelled():  # it was handed over just now
                self._release(organization_id, host)
            if isinstance(error, TimeoutError):
                raise _busy() from error
            raise

    def _next(self) -> tuple[str, str] | None:
        """Return the organization and host whose turn it is, None if nobody who waits may have a slot."""
        for organization_id, hosts in self._queues.items():
            for host in hosts:
                if self._is_free(organization_id, host):
                    return organization_id, host
            if self._held >= self._limits.total:
                break
        return None

    def _hand_over(self, organization_id: str, host: str) -> None:
        hosts = self._queues[organization_id] = self._queues.pop(organization_id)
        slots = hosts[host] = hosts.pop(host)
        slot = next(iter(slots))
        self._forget(organization_id, host, slot)
        if not slot.cancelled():  # its task, cancelled just now, has not run yet
            self._take(organization_id, host)
            slot.set_result(None)

    def _forget(self, organization_id: str, host: str, slot: asyncio.Future[None]) -> None:
        hosts = self._queues.get(organization_id, {})
        if slot not in hosts.get(host, {}):
            return
        del hosts[host][slot]
        if not hosts[host]:
            del hosts[host]
        if not hosts:
            del self._queues[organization_id]
        _subtract_one(self._waiting_of, organization_id)
        self._waiting -= 1


def _subtract_one(counter: Counter[str], key: str) -> None:
    """Subtract one, and forget the key at nought: there are keys without end."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _busy() -> Unavailable:
    return Unavailable("The server is busy with other recordings; send this one again shortly.", 5, limit="fetches")
