"""Contacts as agents look for them: a page, and a count that has a bound."""

from __future__ import annotations

from typing import Any

from tests.support.entries import caller, entry
from tests.support.service import Tenant, missed
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.contacts import MAX_COUNTED, Contacts


async def test_a_search_is_counted_up_to_a_limit_and_a_list_to_its_end(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    numbers = range(MAX_COUNTED + 5)
    await writer.write([entry(whose, fromNumber=f"+4420794{number:05d}", callerName="Tom Vane") for number in numbers])

    async def found(search: str | None) -> tuple[int, int]:
        contacts, total = await Contacts(database).contacts(whose.organization_id, search=search, skip=0, limit=20)
        return len(contacts), total

    assert await found("vane") == (20, MAX_COUNTED)
    assert await found("4420794") == (20, MAX_COUNTED)
    assert await found("0794") == (20, MAX_COUNTED)
    assert await found("elephant") == (0, 0)
    assert await found(None) == (20, MAX_COUNTED + 5)


async def test_contacts_are_found_by_the_beginning_of_a_word_of_the_name_and_by_digits_of_the_number(tenant: Tenant) -> None:
    await tenant.post_call(missed(fromNumber="+442079460958", callerName="Zo\u00eb van Vane"))
    await tenant.post_call(missed(fromNumber="+442079460123", callerName="Ann (Sales)"))

    async def names(search: str) -> list[str]:
        answer: Any = (await tenant.get("/api/contacts", params={"search": search})).body
        assert answer["total"] == len(answer["data"])
        return sorted(contact["name"] for contact in answer["data"])

    both = ["Ann (Sales)", "Zo\u00eb van Vane"]
    for search, expected in {
        "zo\u00eb": both[1:],
        "VAN": both[1:],
        "ane": [],
        "(sal": both[:1],
        ".*": [],
        "0123": both[:1],
        "2079": both,
        "+44 20 7946 0": both,
        "\0": [],
    }.items():
        assert await names(search) == expected, search
