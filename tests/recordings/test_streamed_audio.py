"""Audio inside a JSON body is lifted out of it while the body arrives, however the body is cut into pieces."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.errors import TooLarge, Unavailable
from tether_rt.recordings.embedded_recording import ESCAPE_BYTES
from tether_rt.recordings.spool import MAX_STREAMED, Spool
from tether_rt.recordings.streamed_audio import LIFT_BYTES, Streamed, StreamedAudio

MEGABYTE = 1 << 20
AUDIO = os.urandom(700_000)


async def streamed(spool: Spool, pieces: Iterable[bytes], **options: Any) -> tuple[Streamed, bytes | None]:
    """Feed the pieces, and return the result with what the file held."""
    stream = StreamedAudio(spool, **{"max_audio_bytes": 4 * MEGABYTE, **options})
    try:
        for piece in pieces:
            await stream.feed(piece)
        result = await stream.finish()
        content = result.audio.path.read_bytes() if result.audio is not None else None
        if result.audio is not None:
            assert result.audio.size_bytes == len(content or b"")
        return result, content
    finally:
        stream.close()


def cut(raw: bytes, places: Iterable[int]) -> list[bytes]:
    """Return `raw` in pieces that end at these places, taken modulo its length."""
    ends = sorted({place % (len(raw) + 1) for place in places} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def put_back(result: Streamed, audio: str | None) -> Any:
    """Return the body that the result was made of, given the text of its audio."""
    rest = json.loads(result.rest)
    if result.placeholder is None:
        return rest
    return json.loads(bytes(result.rest).replace(result.placeholder.encode(), json.dumps(audio)[1:-1].encode()))


def plain(text: str) -> str:
    return text


def escaped_slash(text: str) -> str:
    return text.replace("/", "\\/")


def escaped_plus(text: str) -> str:
    """As .NET encodes it."""
    return text.replace("+", "\\u002B").replace("=", "\\u003D")


def in_lines(text: str) -> str:
    return "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\\n"


ESCAPES = [plain, escaped_slash, escaped_plus, in_lines]

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=30) | st.text(alphabet='"\\/aé😀', max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(
    before=values,
    after=values,
    size=st.integers(0, 1500),
    escape=st.sampled_from(ESCAPES),
    prefix=st.sampled_from(["", "data:audio/mpeg;base64,"]),
    space=st.sampled_from(["", " ", " \n\t"]),
    places=st.lists(st.integers(0, 5000), max_size=30),
    one_by_one=st.booleans(),
)
def test_any_cuts_of_any_body_give_what_a_json_parser_gives(
    before: Any,
    after: Any,
    size: int,
    escape: Callable[[str], str],
    prefix: str,
    space: str,
    places: list[int],
    one_by_one: bool,
) -> None:
    audio = AUDIO[:size]
    text = prefix + escape(base64.b64encode(audio).decode())
    body = json.dumps({"before": before, "key": "KEY", "after": after}, ensure_ascii=size % 2 == 0)
    raw = body.replace('"key": "KEY"', f'"audio"{space}:{space}"{text}"', 1).encode()
    pieces = [raw[at : at + 1] for at in range(len(raw))] if one_by_one else cut(raw, places)

    async def check() -> None:
        async with small_spool() as spool:
            result, content = await streamed(spool, pieces, lift_bytes=400, piece_bytes=600)
        assert result.size_bytes == len(raw)
        assert result.fault is None
        assert (result.placeholder is not None) == (len(text) >= 400)
        parsed = json.loads(raw)
        if result.placeholder is None:
            assert result.rest == raw
            assert content is None
        else:
            assert content == audio
            assert put_back(result, parsed["audio"]) == parsed
            assert json.loads(result.rest)["audio"] == result.placeholder

    asyncio.run(check())


@given(
    st.lists(st.sampled_from([b'"', b"\\", b":", b"A" * 50, b"A" * 450, b"/", b"\\u00", b"!", b" ", b"{", b",", b"\xff"])),
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_what_is_no_json_gives_the_same_however_it_is_cut(tokens: list[bytes], places: list[int]) -> None:
    raw = b"".join(tokens)

    async def check() -> None:
        async with small_spool() as spool:
            whole, content = await streamed(spool, [raw], lift_bytes=400, piece_bytes=600)
            parts, same = await streamed(spool, cut(raw, places), lift_bytes=400, piece_bytes=600)
        assert content == same
        assert str(whole.fault) == str(parts.fault)
        assert (whole.placeholder is None) == (parts.placeholder is None)
        assert whole.rest.replace((whole.placeholder or "?").encode(), b"#") == parts.rest.replace(
            (parts.placeholder or "?").encode(), b"#"
        )

    asyncio.run(check())


@asynccontextmanager
async def small_spool() -> AsyncIterator[Spool]:
    """A spool of its own, for what is run many times; it is empty at the end."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        try:
            yield spool
        finally:
            await spool.close()
            assert os.listdir(folder) == []


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("size", [1000, 65_536, 5 * MEGABYTE])
async def test_a_large_audio_is_in_the_file_and_the_rest_in_memory(
    spool: Spool, escape: Callable[[str], str], size: int
) -> None:
    text = escape(base64.b64encode(AUDIO).decode())
    raw = f'{{"type":"post_call_audio","data":{{"a":1,"full_audio":"{text}","b":[2]}}}}'.encode()
    result, content = await streamed(spool, [raw[at : at + size] for at in range(0, len(raw), size)])
    assert content == AUDIO
    assert json.loads(result.rest) == {
        "type": "post_call_audio",
        "data": {"a": 1, "full_audio": result.placeholder, "b": [2]},
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"audio": base64.b64encode(AUDIO[:1000]).decode()},
        {"audio": "A" * (LIFT_BYTES - 1)},
        {"words": "well I do not know " * 20_000},
        {"words": "well, I do not know. " * 20_000},
        {"A" * (LIFT_BYTES + 8): 1},
        ["A" * (LIFT_BYTES + 8)],
        "A" * (LIFT_BYTES + 8),
        {"words": "é" * LIFT_BYTES},
    ],
    ids=["empty", "small", "just below", "words", "sentences", "a key", "in a list", "alone", "other letters"],
)
async def test_a_body_without_a_long_base64_string_stays_as_it_is(spool: Spool, body: Any) -> None:
    raw = json.dumps(body).encode()
    result, content = await streamed(spool, cut(raw, range(0, len(raw), 10_000)))
    assert result == Streamed(bytearray(raw), None, None, None, len(raw))
    assert content is None


async def test_the_first_is_lifted_and_the_second_stays(spool: Spool) -> None:
    text = base64.b64encode(AUDIO).decode()
    body = {"words": "well, " * 60_000, "one": text, "two": text}
    result, content = await streamed(spool, [json.dumps(body).encode()])
    assert json.loads(result.rest) == {**body, "one": result.placeholder}
    assert content == AUDIO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A" * 300_001 + "*" + "A" * 300_000, "character 300002 ('*')"),
        ("A" * 300_000 + "\\u00e9" + "A" * 300_000, "character 300001 ('é')"),
        ("\\/" * 200_000 + "!" + "A" * 1000, "character 200001 ('!')"),
        ("A" * 300_000 + " " + "A" * 4000, "character 300001 is a space inside a line"),
        ("A" * 300_001, "cut short"),
        ("A" * 300_000 + "==" + "A" * 4000, "behind the padding"),
        ("A" * 300_000 + "+_", "mixes"),
        ("\\n" * 300_000, "is empty"),
        ("A" * 300_000 + "\\x" + "A" * 300_000, "not valid JSON"),
    ],
)
async def test_bad_base64_is_said_and_the_rest_is_read_to_its_end(spool: Spool, text: str, said: str) -> None:
    raw = f'{{"a":1,"audio":"{text}","b":"\\"2"}}'.encode()
    result, content = await streamed(spool, cut(raw, range(0, len(raw), 65_536)))
    assert (content, result.audio) == (None, None)
    assert result.fault is not None
    assert said in str(result.fault)
    assert result.fault.field == "recording"
    assert json.loads(result.rest) == {"a": 1, "audio": result.placeholder, "b": '"2'}


async def test_a_body_that_ends_inside_the_audio_has_none(spool: Spool) -> None:
    result, content = await streamed(spool, [b'{"audio":"' + b"A" * 400_000, b"\\"])
    assert content is None
    assert "does not end" in str(result.fault)


async def test_audio_past_its_limit_is_said_and_the_rest_is_read(spool: Spool) -> None:
    body = {"audio": base64.b64encode(AUDIO).decode(), "b": 2}
    result, content = await streamed(spool, [json.dumps(body).encode()], max_audio_bytes=len(AUDIO) - 1)
    assert content is None
    assert result.fault is not None
    assert [fault.code for fault in result.fault.faults] == ["recording_too_large"]
    assert json.loads(result.rest) == {"audio": result.placeholder, "b": 2}
    _, content = await streamed(spool, [json.dumps(body).encode()], max_audio_bytes=len(AUDIO))
    assert content == AUDIO


@pytest.mark.parametrize("filler", [b'{"a":"', b"[", b'["b",', b'"'], ids=["in a string", "in a list", "strings", "quotes"])
async def test_what_is_beside_the_audio_has_a_limit(spool: Spool, filler: bytes) -> None:
    with pytest.raises(TooLarge, match="1 MB beside its audio"):
        await streamed(spool, [filler, *[b"[], " * 20_000] * 20], max_rest_bytes=MEGABYTE)


async def test_little_is_held_whatever_the_audio_weighs(spool: Spool) -> None:
    stream = StreamedAudio(spool, 64 * MEGABYTE)
    piece = base64.b64encode(AUDIO[:49_152])
    await stream.feed(b'{"audio": "')
    for _ in range(300):
        await stream.feed(piece)
        assert stream.held_bytes <= LIFT_BYTES + len(piece) + ESCAPE_BYTES
    await stream.feed(b'"}')
    result = await stream.finish()
    assert result.audio is not None
    assert result.audio.size_bytes == 300 * 49_152
    stream.close()


async def test_a_body_that_is_given_up_leaves_no_file(spool: Spool, tmp_path: Path) -> None:
    stream = StreamedAudio(spool, 64 * MEGABYTE)
    await stream.feed(b'{"audio": "' + base64.b64encode(AUDIO))
    assert len(os.listdir(tmp_path / "spool")) == 1
    feeding = asyncio.create_task(stream.feed(base64.b64encode(AUDIO)))
    await asyncio.sleep(0)
    stream.close()
    stream.close()
    await feeding


async def test_too_many_at_once_are_told_to_come_back(spool: Spool) -> None:
    streams = [StreamedAudio(spool, 4 * MEGABYTE) for _ in range(MAX_STREAMED + 1)]
    begin = b'{"audio": "' + base64.b64encode(AUDIO)
    for stream in streams[:-1]:
        await stream.feed(begin)
    with pytest.raises(Unavailable) as refusal:
        await streams[-1].feed(begin)
    assert refusal.value.limit == "streamed"
    streams[0].close()
    _, content = await streamed(spool, [begin, b'"}'])
    assert content == AUDIO
    for stream in streams:
        stream.close()


async def test_a_folder_that_cannot_be_written_is_not_the_senders_fault(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "missing")
    with pytest.raises(Unavailable):
        await streamed(spool, [b'{"audio": "' + base64.b64encode(AUDIO)])
    await spool.close()
