"""What the next transaction will find, as far as this process knows: what need not be asked is a round trip less.

A transaction asks for two things before it can write: its organizations' last numbers, and its contacts. Numbers are mostly
those that this process wrote last, and contacts can be looked up while duplicates are. A batch that is written on that makes
every write depend on it; where things are otherwise, it is given up and asks after all (`commit`).

Other processes write as well. So an organization is only foreseen while it would have gone well the last few times.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from tether_rt.mongo.batch_plan import Plan
from tether_rt.mongo.client import Database, Document, DriverError
from tether_rt.mongo.lookups import ContactKey, Lookups

_GOES_WELL: Final = 3
"""How often in a row nobody may have come between two transactions, before the next one is foreseen."""
MAX_ORGANIZATIONS: Final = 1_000
MAX_CONTACTS: Final = 10_000
"""About 8 MB."""
_MAX_ASKED: Final = 500
"""In one query; who comes later is not foreseen."""


@dataclass(slots=True)
class _Place:
    """An organization's counter, when it was read by this process' clock, and how often nobody had come between."""

    counter: Document
    read_s: float
    went_well: int

    def later(self, events: int) -> Document:
        """Return the counter as it should be now with so many events more."""
        # MongoDB's clock tells the time (`commit`): it is as much later there as it is here.
        at = self.counter["at"] + timedelta(seconds=time.monotonic() - self.read_s)
        return {
            **self.counter,
            "seq": self.counter["seq"] + events,
            "at": at.replace(microsecond=at.microsecond // 1000 * 1000),
        }


class Foreseen(NamedTuple):
    """The counters as they should be once the batch is counted, and the contacts that should be there."""

    counters: list[Document]
    contacts: list[Document]


class Foresight:
    """What this process remembers of organizations and contacts."""

    def __init__(self, database: Database) -> None:
        # A connection of its own: a look-up that hangs must hold up nobody who waits for an answer.
        self._known = Lookups(database)
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._contacts: OrderedDict[ContactKey, Document | None] = OrderedDict()
        """None for one that was looked for and is not there."""
        self._asked: set[ContactKey] = set()
        self._asking: asyncio.Task[None] | None = None

    def expect(self, key: ContactKey) -> None:
        """Look up the contact of a call that will be written soon, unless it is known; nobody waits for that."""
        if key not in self._contacts and len(self._asked) < _MAX_ASKED:
            self._asked.add(key)
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """End what is being asked and close the connection; idempotent."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        await self._known.close()

    async def _ask(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, set()
                found = await self._known.contacts(asked)
                for key in asked:
                    # Not in the place of what was learned from a transaction meanwhile, which is newer.
                    self._contacts.setdefault(key, found.get(key))
                _forget_oldest(self._contacts, MAX_CONTACTS)
        except DriverError:
            self._asked.clear()  # the transaction will ask for itself, and say what is wrong
        finally:
            self._asking = None

    def of(self, plan: Plan) -> Foreseen | None:
        """Return what the plan's transaction will find; None when something is not known, or others write as well."""
        places = [self._places[name] for name in plan.counts if name in self._places]
        keys = plan.contact_keys()
        is_known = len(places) == len(plan.counts) and keys <= self._contacts.keys()
        if not is_known or any(place.went_well < _GOES_WELL for place in places):
            return None
        counters = [place.later(count.events) for place, count in zip(places, plan.counts.values(), strict=True)]
        return Foreseen(counters, [contact for key in keys if (contact := self._contacts[key]) is not None])

    def learn(self, counters: Iterable[Document], plan: Plan) -> None:
        """Remember what a transaction that is durable has left."""
        now_s = time.monotonic()
        for counter in counters:
            name = counter["_id"]
            before = self._places.pop(name, None)
            alone = before is not None and before.counter["seq"] == counter["seq"] - plan.counts[name].events
            self._places[name] = _Place(counter, now_s, before.went_well + 1 if before is not None and alone else 0)
        for key, contact in plan.contacts():
            self._contacts[key] = contact
            self._contacts.move_to_end(key)
        _forget_oldest(self._places, MAX_ORGANIZATIONS)
        _forget_oldest(self._contacts, MAX_CONTACTS)

    def forget(self, plan: Plan) -> None:
        """Forget what a transaction was written on: something of it was otherwise, or it is doubtful what became of it."""
        for name in plan.counts:
            self._places.pop(name, None)
        for key in plan.contact_keys():
            self._contacts.pop(key, None)


def _forget_oldest(remembered: OrderedDict[Any, Any], most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
