"""Names: how they are stored, and which of two a contact keeps."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.domain.call import UNKNOWN_CALLER
from tether_rt.domain.names import better_name, plain_name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (None, None),
        ("Alex", "Alex"),
        (" Alex  Example \t", "Alex Example"),
        ("Alex\u00a0Example\u3000", "Alex Example"),
        ("Al\u200bex\u00ad", "Alex"),
        ("A\u200dB", "AB"),
        ("Zo\u0065\u0308", "Zo\u00eb"),
        ("Zalgo\u202eevil", "Zalgoevil"),
        ("\u2068\u202bسارة\u202c\u2069\u200f", "سارة"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u200cمی\u200c", "می"),
        ("Fire \u2764\ufe0f\u200d\U0001f525", "Fire \u2764\ufe0f\u200d\U0001f525"),
        ("Rosa\nExample\0", "Rosa Example"),
        ("", None),
        ("   ", None),
        ("\u200b\u200d", None),
        ("\u3164\u2800", None),
        ("\ufe0f\u034f", None),
    ],
)
def test_names_that_look_the_same_are_the_same(name: str | None, stored: str | None) -> None:
    assert plain_name(name) == stored


@given(st.text(max_size=40) | st.text("Ae\u0301 \u200b\u200c\u200d\u202e\u3164\u0627\u034f\n", max_size=12))
def test_a_stored_name_stays_as_it_is_and_shows_something(name: str) -> None:
    stored = plain_name(name)
    assert plain_name(stored) == stored
    if stored is not None:
        assert stored == unicodedata.normalize("NFC", stored).strip()
        assert not set(stored) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\n\0")
        assert any(unicodedata.category(character)[0] in "LNPSC" or not character.isspace() for character in stored)


NONE, MADE_UP, PERSONS = (
    [UNKNOWN_CALLER, "UNKNOWN", "Anonymous"],
    ["WIRELESS CALLER", "+14165550147", "sip:a@b.c"],
    ["Rosa", "\U0001f33a"],
)


@pytest.mark.parametrize(
    ("known", "offered", "kept"),
    [
        *((worse, better, better) for worse in NONE for better in [*MADE_UP, *PERSONS]),
        *((worse, better, better) for worse in MADE_UP for better in PERSONS),
        *((better, worse, better) for better in PERSONS for worse in [*NONE, *MADE_UP, "Tom"]),
        *((better, worse, better) for better in MADE_UP for worse in [*NONE, "00123"]),
        *((name, None, name) for name in [*NONE, *MADE_UP, *PERSONS]),
        (UNKNOWN_CALLER, "Private", UNKNOWN_CALLER),
    ],
)
def test_somebodys_name_wins_over_a_made_up_one_and_that_over_none(known: str, offered: str | None, kept: str) -> None:
    assert better_name(known, offered) == kept


@given(st.lists(st.sampled_from([*NONE, *MADE_UP, *PERSONS, "Tom"]), min_size=1))
def test_the_first_of_the_best_names_stays_in_whatever_order_they_come(offered: list[str]) -> None:
    name = UNKNOWN_CALLER
    for one in offered:
        name = better_name(name, one)
    persons = [one for one in offered if one in [*PERSONS, "Tom"]]
    made_up = [one for one in offered if one in MADE_UP]
    assert name == (persons or made_up or [UNKNOWN_CALLER])[0]
