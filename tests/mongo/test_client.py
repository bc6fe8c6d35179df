"""The client: what is refused with one sentence, and which errors mean that MongoDB is away."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from os import kill
from pathlib import Path
from typing import TypeVar

import pymongo.errors as driver
import pytest
from pymongo import ReadPreference

from tests.support.standalone import standalone_mongod
from tether_rt.errors import BadRequest, ConfigError, Unavailable
from tether_rt.mongo import client as store
from tether_rt.mongo.private_mongod import PrivateMongod

_Answer = TypeVar("_Answer")


async def refusal(uri: str) -> str:
    """Return the sentence with which an address is refused."""

    async def attempt() -> None:
        client = store.connect(uri)
        try:
            await store.require_replica_set(client)
        finally:
            client.close()

    with pytest.raises(ConfigError) as refused:
        await attempt()
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


async def test_a_replica_set_is_taken(mongodb_uri: str) -> None:
    client = store.connect(mongodb_uri)
    await store.require_replica_set(client)
    client.close()


async def test_a_mongod_on_its_own_is_refused_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    async with standalone_mongod(tmp_path) as uri:
        sentence = await refusal(uri)
    assert sentence.startswith("MONGODB_URI is not a replica set: start mongod with --replSet")


async def test_an_address_where_nobody_answers_is_refused() -> None:
    assert (await refusal("mongodb://127.0.0.1:1/")).startswith("MONGODB_URI cannot be reached")


async def test_a_user_whom_mongodb_does_not_know_is_refused_without_the_password(mongodb_uri: str) -> None:
    sentence = await refusal(mongodb_uri.replace("mongodb://", "mongodb://somebody:swordfish@"))
    assert "user and password" in sentence
    assert "swordfish" not in sentence


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://",
        "mongodb://host:port/",
        "mongodb://somebody:tiger:lily@host/",
        "mongodb://somebody:tiger/lily@host/",
        "mongodb://host/?tls=perhaps",
        "mongodb://host/?tsl=true",
        "mongodb://host/?replicaSet=a&directConnection=true&loadBalanced=true",
    ],
)
async def test_an_address_that_cannot_be_understood_is_refused_without_its_password(uri: str) -> None:
    sentence = await refusal(uri)
    assert sentence.startswith("MONGODB_URI cannot be used")
    assert "tiger" not in sentence


async def test_what_is_written_is_durable_and_what_is_read_is_the_primarys(mongodb_uri: str) -> None:
    client = store.connect(mongodb_uri)
    database = store.database(client, "unused")
    assert database.write_concern.document == {"w": "majority", "j": True}
    assert database.read_preference == ReadPreference.PRIMARY
    assert database.codec_options.tz_aware is True
    client.close()


@pytest.mark.parametrize(
    "error",
    [
        driver.AutoReconnect("x"),
        driver.NotPrimaryError("x"),
        driver.NetworkTimeout("x"),
        driver.ServerSelectionTimeoutError("x"),
        driver.ConnectionFailure("x"),
        driver.WaitQueueTimeoutError("x"),
        driver.ExecutionTimeout("x"),
        driver.WTimeoutError("x"),
        driver.ConfigurationError("Sessions are not supported by this MongoDB deployment"),
        driver.OperationFailure("primary stepped down", 189),
        driver.OperationFailure("interrupted at shutdown", 11600),
        driver.OperationFailure("write conflict", 112),
        driver.OperationFailure("no such transaction", 251),
        driver.OperationFailure("majority reads are currently not possible", 134),
        driver.CursorNotFound("cursor id 1 not found", 43),
        driver.OperationFailure("x", 1, {"errorLabels": ["TransientTransactionError"]}),
        driver.OperationFailure("x", 1, {"errorLabels": ["RetryableWriteError"]}),
        driver.OperationFailure("x", 8, {"errmsg": "28: No space left on device"}),
        driver.BulkWriteError({"writeErrors": [{"code": 8, "errmsg": "28: No space left on device"}]}),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'code', '')}",
)
def test_a_database_that_is_away_is_told_as_unavailable_without_a_word_of_the_driver(error: Exception) -> None:
    away = store.unavailable(error)
    assert isinstance(away, Unavailable)
    assert away.retry_after_s
    assert str(error) not in str(away).split()


@pytest.mark.parametrize(
    "error",
    [
        driver.OperationFailure("bad value", 2),
        driver.DuplicateKeyError("x", 11000, {"errmsg": "dup key: No space left on device"}),
        driver.BulkWriteError({"writeErrors": []}),
        driver.InvalidOperation("x"),
        BadRequest("x"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_is_not_taken_for_a_database_that_is_away(error: Exception) -> None:
    assert store.unavailable(error) is None


async def until_back(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Ask until there is an answer; until then every failure must be one that passes."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except store.DriverError as error:
                if store.unavailable(error) is None:
                    raise


async def test_a_database_that_froze_or_was_killed_is_away_until_it_is_back(tmp_path: Path) -> None:
    mongod = PrivateMongod(tmp_path)
    client = store.connect(await mongod.start())
    numbers = store.database(client, "test")["numbers"]
    await numbers.insert_one({"_id": 1})
    assert mongod.pid is not None
    kill(mongod.pid, signal.SIGSTOP)
    try:
        with pytest.raises(store.DriverError) as frozen:
            await numbers.insert_one({"_id": 2})
        assert isinstance(store.unavailable(frozen.value), Unavailable)
    finally:
        kill(mongod.pid, signal.SIGCONT)
    await until_back(lambda: numbers.update_one({"_id": 3}, {"$set": {"back": True}}, upsert=True))
    await mongod.stop()
    with pytest.raises(store.DriverError) as gone:
        await numbers.insert_one({"_id": 4})
    assert isinstance(store.unavailable(gone.value), Unavailable)
    again = PrivateMongod(tmp_path)
    await again.start()
    assert {document["_id"] for document in await until_back(lambda: numbers.find().to_list(None))} >= {1, 3}
    client.close()
    await again.stop()


async def test_a_cursor_that_was_lost_while_it_was_read_means_that_the_database_was_away(mongodb_uri: str) -> None:
    """As in a restart: MongoDB is back by the time the second part is asked for, and knows nothing of the first."""
    client = store.connect(mongodb_uri)
    numbers = store.database(client, store.new_id())["numbers"]
    await numbers.insert_many({"_id": number} for number in range(5))
    cursor = numbers.find(batch_size=2)
    assert (await cursor.next())["_id"] == 0
    await numbers.database.command("killCursors", "numbers", cursors=[cursor.cursor_id])
    with pytest.raises(store.DriverError) as lost:
        await cursor.to_list(None)
    assert isinstance(store.unavailable(lost.value), Unavailable)
    client.close()


def test_ids_are_24_hexadecimal_digits_that_grow() -> None:
    ids = [store.new_id() for _ in range(100)]
    assert all(re.fullmatch("[0-9a-f]{24}", one) for one in ids)
    assert sorted(ids) == ids
    assert len(set(ids)) == 100
