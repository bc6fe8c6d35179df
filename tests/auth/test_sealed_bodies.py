"""Sealed bodies come back as they were, and what was changed, moved, cut or sealed with another secret does not open."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.auth.credentials import Keyring
from tether_rt.auth.sealed_bodies import CHUNK_BYTES, FIRST_CHUNK_BYTES, BodySeal, SealBroken, sealed_bytes

SEAL = Keyring("a secret").body_seal()
SIZES = st.sampled_from((0, 1, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7))


def sealed(body: bytes, place: str = "here") -> bytes:
    return b"".join(SEAL.seal(body, place))


def pattern(size_bytes: int) -> bytes:
    return (b"0123456789abcdefX" * (size_bytes // 17 + 1))[:size_bytes]


@given(SIZES, st.lists(st.integers(1, 2 * CHUNK_BYTES), max_size=4))
def test_a_body_comes_back_whatever_the_pieces_are_in_which_it_is_read(size_bytes: int, cuts: list[int]) -> None:
    body = pattern(size_bytes)
    whole = sealed(body)
    assert len(whole) == sealed_bytes(size_bytes)
    assert SEAL.opened(whole, "here") == body
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert b"".join(SEAL.opened_pieces(pieces, "here")) == body
    beginning = whole[:FIRST_CHUNK_BYTES]
    assert SEAL.opened_beginning(beginning, "here", is_whole=beginning == whole) == body[:CHUNK_BYTES]


@given(st.binary(max_size=200), st.data())
def test_a_changed_byte_is_noticed(body: bytes, data: st.DataObject) -> None:
    whole = bytearray(sealed(body))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        SEAL.opened(whole, "here")


@pytest.mark.parametrize("size_bytes", [0, 100, CHUNK_BYTES, 2 * CHUNK_BYTES + 1])
def test_what_is_cut_moved_or_of_another_secret_does_not_open(size_bytes: int) -> None:
    whole = sealed(pattern(size_bytes))
    chunk = CHUNK_BYTES + 16
    for broken in (b"", whole[:5], whole[:-1], whole[: 17 + chunk] if size_bytes > CHUNK_BYTES else whole[:16], whole + b"x"):
        with pytest.raises(SealBroken):
            SEAL.opened(broken, "here")
    with pytest.raises(SealBroken):
        SEAL.opened(whole, "there")
    with pytest.raises(SealBroken):
        Keyring("another secret").body_seal().opened(whole, "here")


def test_the_same_body_is_never_sealed_the_same_way() -> None:
    assert sealed(b"the same") != sealed(b"the same")


def test_chunks_do_not_change_places() -> None:
    whole = sealed(pattern(3 * CHUNK_BYTES))
    head, chunk = whole[:17], CHUNK_BYTES + 16
    first, second, third = (whole[17 + number * chunk : 17 + (number + 1) * chunk] for number in range(3))
    with pytest.raises(SealBroken):
        SEAL.opened(head + second + first + third, "here")


def test_a_digest_depends_on_the_secret() -> None:
    digests = {Keyring(secret).body_digest().hexdigest() for secret in ("one", "two")}
    assert len(digests) == 2
    assert isinstance(SEAL, BodySeal)
