"""Commands that share round trips, on a real replica set: all or none, whatever becomes of one of them or of the connection."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo.database import Database as BlockingDatabase
from pymongo.errors import AutoReconnect, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from tether_rt.mongo import client as store
from tether_rt.mongo.wire.op_msg import Command, find, find_and_modify, insert, update
from tether_rt.mongo.wire.transaction import Session

Blocking = BlockingDatabase[dict[str, Any]]
TOO_LARGE = "x" * (16 << 20)


@pytest.fixture
def blocking(database: store.Database) -> Blocking:
    """A database in which nobody but the test does anything."""
    found: Blocking = database.delegate
    return found


@pytest.fixture
async def session(blocking: Blocking) -> AsyncIterator[Session]:
    session = Session(blocking, 3.5)
    yield session
    await session.close()


@pytest.fixture
async def other_session(blocking: Blocking) -> AsyncIterator[Session]:
    session = Session(blocking, 3.5)
    yield session
    await session.close()


def stored(blocking: Blocking, collection: str = "contacts") -> list[Any]:
    return sorted(document["_id"] for document in blocking[collection].find())


async def test_every_command_is_answered_in_its_place(session: Session, blocking: Blocking) -> None:
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
    assert stored(blocking) == list(range(300))


async def test_nothing_is_there_before_the_commit_and_nothing_without_one(session: Session, blocking: Blocking) -> None:
    async with session.transaction() as transaction:
        await transaction.run([insert("contacts", [{"_id": 1}])])
        await transaction.run([insert("contacts", [{"_id": 2, "number": 2}])])
        assert stored(blocking) == []
    async with session.transaction() as transaction:
        await transaction.run([insert("contacts", [{"_id": 3}])])
        await transaction.commit()
    assert stored(blocking) == [3]


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
    session: Session, blocking: Blocking, bad: Command, error: type[PyMongoError]
) -> None:
    good = [insert("contacts", [{"_id": 0, "number": 0}]), insert("messages", [{"_id": 0}])]

    async def attempt() -> None:
        async with session.transaction() as transaction:
            await transaction.run([find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])])
            with pytest.raises(error):
                await transaction.run([good[0], bad, good[1]])
            raise KeyError("as whoever asked would not go on")

    with pytest.raises(KeyError):
        await attempt()
    assert (stored(blocking), stored(blocking, "messages"), stored(blocking, "counters")) == ([], [], [])
    async with session.transaction() as transaction:
        await transaction.run(good)
        await transaction.commit()
    assert (stored(blocking), stored(blocking, "messages")) == ([0], [0])


async def test_the_first_that_failed_says_why_and_not_those_that_failed_for_it(session: Session) -> None:
    twice = insert("contacts", [{"_id": 1, "number": 1}, {"_id": 1, "number": 2}])
    with pytest.raises(DuplicateKeyError):
        async with session.transaction() as transaction:
            await transaction.run([twice, insert("messages", [{"_id": 1}]), find("contacts", {})])


async def test_what_fails_here_lets_go_of_its_lock_at_once(
    session: Session, other_session: Session, blocking: Blocking
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
    assert stored(blocking, "counters") == ["o"]


async def test_two_that_meet_at_one_document_do_not_both_get_through(
    session: Session, other_session: Session, blocking: Blocking
) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])
    async with session.transaction() as transaction:
        await transaction.run([lock])
        with pytest.raises(OperationFailure, match="WriteConflict"):
            async with other_session.transaction() as other:
                await other.run([lock, insert("contacts", [{"_id": 1}])])
        await transaction.commit()
    assert (stored(blocking), stored(blocking, "counters")) == ([], ["o"])


async def test_a_connection_that_breaks_ends_the_transaction_and_does_not_hold_up_the_next(
    session: Session, blocking: Blocking
) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])

    async def attempt() -> None:
        async with session.transaction() as transaction:
            await transaction.run([lock])
            session.connection._socket.shutdown(socket.SHUT_RDWR)
            await transaction.run([insert("contacts", [{"_id": 1}])])

    with pytest.raises(AutoReconnect) as caught:
        await attempt()
    assert store.unavailable(caught.value) is not None
    assert stored(blocking) == []
    async with session.transaction() as transaction:
        await transaction.run([lock, insert("contacts", [{"_id": 3}])])
        await transaction.commit()
    assert (stored(blocking), stored(blocking, "counters")) == ([3], ["o"])


async def test_a_command_that_is_refused_unread_leaves_the_others_to_be_committed(session: Session, blocking: Blocking) -> None:
    """Why nothing is sent together with the commit: MongoDB would have committed before it was known here."""
    async with session.transaction() as transaction:
        with pytest.raises(OperationFailure):
            await transaction.run([insert("contacts", [{"_id": 1}]), Command({"noSuchCommand": 1})])
        await transaction.commit()
    assert stored(blocking) == [1]
