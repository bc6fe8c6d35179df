"""Commands that share round trips, on a real replica set: all or none, whatever becomes of one of them or of the connection."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pymongo.database import Database as BlockingDatabase
from pymongo.errors import AutoReconnect, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from tether_rt.store import client as store
from tether_rt.store.opmsg import Command, find, find_and_modify, insert, update
from tether_rt.store.transaction import Session, Transaction

Blocking = BlockingDatabase[dict[str, Any]]
TOO_LARGE = "x" * (16 << 20)


@pytest.fixture
def blocking(database: store.Database) -> Blocking:
    """A database in which nobody but the test does anything."""
    found: Blocking = database.delegate
    return found


@pytest.fixture
def session(blocking: Blocking) -> Session:
    blocking["calls"].delete_many({})
    return Session(blocking)


def stored(blocking: Blocking, collection: str = "contacts") -> list[Any]:
    return sorted(document["_id"] for document in blocking[collection].find())


def test_every_command_is_answered_in_its_place(session: Session, blocking: Blocking) -> None:
    with session.transaction() as transaction:
        counted, inserted, found, updated = transaction.run(
            [
                find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 7}}]),
                insert("contacts", [{"_id": number, "number": number} for number in range(300)]),
                find("contacts", {"_id": {"$lt": 250}}, "number"),
                update(
                    "contacts", [{"q": {"_id": 1}, "u": {"$set": {"name": "Ann"}}}, {"q": {"_id": -1}, "u": {"$set": {"a": 1}}}]
                ),
            ]
        )
        transaction.commit()
    assert counted["value"] == {"_id": "o", "seq": 7}
    assert inserted["n"] == 300
    assert found["cursor"]["firstBatch"] == [{"_id": number, "number": number} for number in range(250)]
    assert (updated["n"], updated["nModified"]) == (1, 1)
    assert stored(blocking) == list(range(300))


def test_nothing_is_there_before_the_commit_and_nothing_without_one(session: Session, blocking: Blocking) -> None:
    with session.transaction() as transaction:
        transaction.run([insert("contacts", [{"_id": 1}])])
        transaction.run([insert("contacts", [{"_id": 2, "number": 2}])])
        assert stored(blocking) == []
    with session.transaction() as transaction:
        transaction.run([insert("contacts", [{"_id": 3}])])
        transaction.commit()
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
def test_one_command_that_fails_undoes_those_before_it_and_those_behind_it(
    session: Session, blocking: Blocking, bad: Command, error: type[PyMongoError]
) -> None:
    good = [insert("contacts", [{"_id": 0, "number": 0}]), insert("messages", [{"_id": 0}])]

    def attempt() -> Transaction:
        with session.transaction() as transaction:
            transaction.run([find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])])
            with pytest.raises(error):
                transaction.run([good[0], bad, good[1]])
            raise KeyError("as whoever asked would not go on")
        return transaction

    with pytest.raises(KeyError):
        attempt()
    assert (stored(blocking), stored(blocking, "messages"), stored(blocking, "counters")) == ([], [], [])
    with session.transaction() as transaction:
        transaction.run(good)
        transaction.commit()
    assert (stored(blocking), stored(blocking, "messages")) == ([0], [0])


def test_the_first_that_failed_says_why_and_not_those_that_failed_for_it(session: Session) -> None:
    twice = insert("contacts", [{"_id": 1, "number": 1}, {"_id": 1, "number": 2}])
    with pytest.raises(DuplicateKeyError), session.transaction() as transaction:
        transaction.run([twice, insert("messages", [{"_id": 1}]), find("contacts", {})])


def test_what_fails_here_lets_go_of_its_lock_at_once(session: Session, blocking: Blocking) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])

    def fail() -> None:
        with session.transaction() as transaction:
            transaction.run([lock])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with Session(blocking).transaction() as other:
        other.run([lock])
        other.commit()
    assert stored(blocking, "counters") == ["o"]


def test_two_that_meet_at_one_document_do_not_both_get_through(session: Session, blocking: Blocking) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])
    with session.transaction() as transaction:
        transaction.run([lock])
        with pytest.raises(OperationFailure, match="WriteConflict"), Session(blocking).transaction() as other:
            other.run([lock, insert("contacts", [{"_id": 1}])])
        transaction.commit()
    assert (stored(blocking), stored(blocking, "counters")) == ([], ["o"])


def cut(transaction: Transaction) -> None:
    transaction._connection.conn.get_conn.shutdown(socket.SHUT_RDWR)


def garble(transaction: Transaction) -> None:
    transaction._received += b"HTTP/1.1 400 Bad Request\r\n\r\n"


def confuse(transaction: Transaction) -> None:
    next(transaction._ids)
    transaction._connection.conn.get_conn.sendall(
        b"".join(transaction._encode(Command({"ping": 1, "$db": "admin"}), 1) for _ in "x")
    )


@pytest.mark.parametrize("trouble", [cut, garble, confuse])
def test_a_connection_in_trouble_is_given_up_and_the_next_transaction_is_not_held_up(
    session: Session, blocking: Blocking, trouble: Any
) -> None:
    lock = find_and_modify("counters", {"_id": "o"}, [{"$set": {"seq": 1}}])

    def attempt() -> None:
        with session.transaction() as transaction:
            transaction.run([lock])
            trouble(transaction)
            with pytest.raises(AutoReconnect):
                transaction.run([insert("contacts", [{"_id": 1}])])
            assert transaction._connection.closed
            transaction.run([insert("contacts", [{"_id": 2}])])

    with pytest.raises(AutoReconnect) as caught:
        attempt()
    assert store.unavailable(caught.value) is not None
    assert stored(blocking) == []
    with session.transaction() as transaction:
        transaction.run([lock, insert("contacts", [{"_id": 3}])])
        transaction.commit()
    assert (stored(blocking), stored(blocking, "counters")) == ([3], ["o"])


def test_a_command_that_is_refused_unread_leaves_the_others_to_be_committed(session: Session, blocking: Blocking) -> None:
    """Why nothing is sent together with the commit: MongoDB would have committed before it was known here."""
    with session.transaction() as transaction:
        with pytest.raises(OperationFailure):
            transaction.run([insert("contacts", [{"_id": 1}]), Command({"noSuchCommand": 1})])
        transaction.commit()
    assert stored(blocking) == [1]
