"""Commands that share round trips take effect together or not at all, whatever becomes of one of them or of the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from tests.support.proxy import Proxy
from tether_rt.mongo import client as store
from tether_rt.mongo.wire.op_msg import Command, find, find_and_modify, insert, update
from tether_rt.mongo.wire.transaction import Session

TOO_LARGE = "x" * (16 << 20)


@pytest.fixture
async def session(database: store.Database) -> AsyncIterator[Session]:
    session = Session(database, 3.5)
    yield session
    await session.close()


@pytest.fixture
async def other_session(database: store.Database) -> AsyncIterator[Session]:
    session = Session(database, 3.5)
    yield session
    await session.close()


async def stored(database: store.Database, collection: str = "contacts") -> list[Any]:
    return sorted([document["_id"] async for document in database[collection].find()])


async def test_the_replies_are_in_the_order_of_the_commands(session: Session, database: store.Database) -> None:
    async with session.transaction() as transaction:
        counted, inserted, found, updated = await transaction.run(
            [
                find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 7}}]),
                insert("contacts", [{"_id": number, "number": number} for number in range(300)]),
                find("contacts", {"_id": {"$lt": 250}}, "number"),
                update(
                    "contacts", [{"q": {"_id": 1}, "u": {"$set": {"name": "Ann"}}}, {"q": {"_id": -1}, "u": {"$set": {"a": 1}}}]
                ),
            ]
        )
        await transaction.commit()
    assert counted["value"] == {"_id": "o", "seq": 7}
    assert inserted["n"] == 300
    assert found["cursor"]["firstBatch"] == [{"_id": number, "number": number} for number in range(250)]
    assert (updated["n"], updated["nModified"]) == (1, 1)
    assert await stored(database) == list(range(300))


async def test_nothing_is_stored_before_the_commit_or_without_one(session: Session, database: store.Database) -> None:
    async with session.transaction() as transaction:
        await transaction.run([insert("contacts", [{"_id": 1}])])
        await transaction.run([insert("contacts", [{"_id": 2, "number": 2}])])
        assert await stored(database) == []
    async with session.transaction() as transaction:
        await transaction.run([insert("contacts", [{"_id": 3}])])
        await transaction.commit()
    assert await stored(database) == [3]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param(
            insert("contacts", [{"_id": 1, "number": 1}, {"_id": 1, "number": 2}]), DuplicateKeyError, id="carried out"
        ),
        pytest.param(
            update("contacts", [{"q": {"_id": 0}, "u": {"$inc": {"number": "x"}}}]), OperationFailure, id="not possible"
        ),
        pytest.param(insert("", [{"_id": 1}]), OperationFailure, id="refused unread"),
        pytest.param(Command({"noSuchCommand": 1}), OperationFailure, id="unknown"),
        pytest.param(insert("contacts", [{"_id": 1, "a": TOO_LARGE}]), DocumentTooLarge, id="never sent"),
        pytest.param(insert("contacts", [{"_id": i, "a": TOO_LARGE[:-999]} for i in range(4)]), DocumentTooLarge, id="in all"),
    ],
)
async def test_one_command_that_fails_undoes_those_before_it_and_those_behind_it(
    session: Session, database: store.Database, bad: Command, error: type[PyMongoError]
) -> None:
    good = [insert("contacts", [{"_id": 0, "number": 0}]), insert("messages", [{"_id": 0}])]

    async def attempt() -> None:
        async with session.transaction() as transaction:
            await transaction.run([find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])])
            with pytest.raises(error):
                await transaction.run([good[0], bad, good[1]])
            raise KeyError("as the caller would give up")

    with pytest.raises(KeyError):
        await attempt()
    assert (await stored(database), await stored(database, "messages"), await stored(database, "counters")) == ([], [], [])
    async with session.transaction() as transaction:
        await transaction.run(good)
        await transaction.commit()
    assert (await stored(database), await stored(database, "messages")) == ([0], [0])


async def test_the_error_is_that_of_the_command_that_failed_first(session: Session) -> None:
    twice = insert("contacts", [{"_id": 1, "number": 1}, {"_id": 1, "number": 2}])
    with pytest.raises(DuplicateKeyError):
        async with session.transaction() as transaction:
            await transaction.run([twice, insert("messages", [{"_id": 1}]), find("contacts", {})])


async def test_a_transaction_that_fails_here_releases_its_lock_at_once(
    session: Session, other_session: Session, database: store.Database
) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])

    async def fail() -> None:
        async with session.transaction() as transaction:
            await transaction.run([lock])
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with other_session.transaction() as other:
        await other.run([lock])
        await other.commit()
    assert await stored(database, "counters") == ["o"]


async def test_of_two_transactions_that_change_one_document_one_fails(
    session: Session, other_session: Session, database: store.Database
) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])
    async with session.transaction() as transaction:
        await transaction.run([lock])
        with pytest.raises(OperationFailure, match="WriteConflict"):
            async with other_session.transaction() as other:
                await other.run([lock, insert("contacts", [{"_id": 1}])])
        await transaction.commit()
    assert (await stored(database), await stored(database, "counters")) == ([], ["o"])


async def test_a_connection_that_breaks_ends_the_transaction_and_does_not_hold_up_the_next(
    database: store.Database, proxied: store.Database, proxy: Proxy
) -> None:
    session = Session(proxied, 3.5)
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])

    async def attempt() -> None:
        async with session.transaction() as transaction:
            await transaction.run([lock])
            proxy.cut()
            await transaction.run([insert("contacts", [{"_id": 1}])])

    with pytest.raises(AutoReconnect) as caught:
        await attempt()
    assert store.unavailable(caught.value) is not None
    assert await stored(database) == []
    async with session.transaction() as transaction:
        await transaction.run([lock, insert("contacts", [{"_id": 3}])])
        await transaction.commit()
    assert (await stored(database), await stored(database, "counters")) == ([3], ["o"])
    await session.close()


async def test_a_command_that_is_refused_unread_leaves_the_others_to_be_committed(
    session: Session, database: store.Database
) -> None:
    """Why nothing is sent together with the commit: MongoDB would have committed before it was known here."""
    async with session.transaction() as transaction:
        with pytest.raises(OperationFailure):
            await transaction.run([insert("contacts", [{"_id": 1}]), Command({"noSuchCommand": 1})])
        await transaction.commit()
    assert await stored(database) == [1]
