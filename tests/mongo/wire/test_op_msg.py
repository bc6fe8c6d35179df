"""Messages are those that the driver would send, byte for byte, and replies are read in whatever pieces they arrive."""

from __future__ import annotations

import struct
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import DocumentTooLarge
from pymongo.message import _op_msg

from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.op_msg import Command, Reply

OPTIONS: CodecOptions[Any] = CodecOptions(tz_aware=True)
DOCUMENTS = st.lists(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 1 << 40) | st.text()), min_size=1, max_size=4)


def reply_bytes(document: dict[str, Any], to: int) -> bytes:
    body = bson.encode(document)
    return struct.pack("<iiiiIB", 21 + len(body), 7, to, 2013, 0, 0) + body


@given(documents=DOCUMENTS)
def test_a_command_with_documents_is_what_the_driver_would_send(documents: list[dict[str, Any]]) -> None:
    messages, count = op_msg.encode([Command({"insert": "calls"}, "documents", documents)] * 2, "t", OPTIONS)
    _, expected, _, _ = _op_msg(0, {"insert": "calls", "documents": documents}, "t", None, OPTIONS)
    first, second = messages[: len(expected)], messages[len(expected) :]
    # But for the id, which the driver draws.
    assert first[8:] == second[8:] == expected[8:]
    assert [struct.unpack_from("<ii", each) for each in (first, second)] == [(len(expected), 0), (len(expected), 1)]
    assert count == 2


@given(documents=DOCUMENTS, more=DOCUMENTS)
def test_elements_that_were_encoded_before_come_after_a_documents_own(
    documents: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    behind = {f"more {name}": value for name, value in more[0].items()}
    pieces = [op_msg.Spliced(document, op_msg.elements(behind, OPTIONS)) for document in documents]
    whole = [{**document, **behind} for document in documents]
    assert op_msg.encode([op_msg.insert("t", pieces)], "t", OPTIONS) == op_msg.encode([op_msg.insert("t", whole)], "t", OPTIONS)
    assert [op_msg.encoded(piece, OPTIONS) for piece in pieces] == [bson.encode(document) for document in whole]


def test_a_command_without_documents_is_its_body() -> None:
    messages, _ = op_msg.encode([Command({"ping": 1})], "admin", OPTIONS)
    assert bson.decode(messages[21:]) == {"ping": 1, "$db": "admin"}


@pytest.mark.parametrize("sizes", [[op_msg.MAX_DOCUMENT_BYTES], [op_msg.MAX_DOCUMENT_BYTES - 100] * 3])
def test_what_is_larger_than_mongodb_takes_is_not_sent(sizes: list[int]) -> None:
    with pytest.raises(DocumentTooLarge):
        op_msg.encode([op_msg.insert("calls", [{"a": "x" * size} for size in sizes])], "t", OPTIONS)


@given(documents=DOCUMENTS, cuts=st.lists(st.integers(1, 60), min_size=1))
def test_replies_are_taken_one_after_the_other_in_whatever_pieces_they_come(
    documents: list[dict[str, Any]], cuts: list[int]
) -> None:
    stream = b"".join(reply_bytes(document, number) for number, document in enumerate(documents))
    received, found = bytearray(), []
    while stream:
        for cut in cuts:
            received += stream[:cut]
            stream = stream[cut:]
            while (reply := op_msg.take_reply(received, OPTIONS)) is not None:
                found.append(reply)
    assert found == [Reply(number, document) for number, document in enumerate(documents)]
    assert received == b""


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(struct.pack("<iiii", 100, 1, 1, 2012), id="compressed, which was not asked for"),
        pytest.param(struct.pack("<iiii", 16, 1, 1, 2013), id="too short to hold anything"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
    ],
)
def test_bytes_that_are_no_reply_are_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match="no reply"):
        op_msg.take_reply(bytearray(header), OPTIONS)
