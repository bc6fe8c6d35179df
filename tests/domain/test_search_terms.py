"""Words to be found by: whatever word of a call somebody types, in whatever case and accents, the call is found."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tether_rt.domain.search_terms import MAX_QUERY_TERMS, MAX_TERM_CHARS, MAX_TERMS, by_field, call_terms, query_terms, words

NUMBERS = ("+14165550100", "+442079460958")


def finds(search: str, *texts: str | None, numbers: tuple[str, ...] = ()) -> bool:
    """Say if a call with these texts is found, as MongoDB's `$all` finds it."""
    fields = by_field(call_terms(texts, numbers))
    wanted = by_field(query_terms(search))
    return all(_matches(asked, fields[field]) for field, terms in wanted.items() for asked in terms)


def _matches(asked: Any, terms: list[str]) -> bool:
    return any(asked.search(term) for term in terms) if isinstance(asked, re.Pattern) else asked in terms


TEXT = "Confirmed Friday's appointment at 2pm with Mrs. Müller-Lüdenscheidt (café), order #4711."


@pytest.mark.parametrize(
    "search",
    [
        "friday",
        "FRIDAY",
        "Frid",
        "appointment fri",
        "fri",
        "muller",
        "MÜLLER",
        "Mu\u0308ller",
        "cafe",
        "café",
        "4711",
        "#4711",
        "2pm conf",
    ],
)
def test_a_call_is_found_by_its_words_in_any_order_case_and_accent(search: str) -> None:
    assert finds(search, TEXT)


@pytest.mark.parametrize("search", ["friday app", "app", "order 47", "the appointment with", "with the muller"])
def test_the_last_word_may_be_the_beginning_of_one_and_common_words_do_not_count(search: str) -> None:
    assert finds(search, TEXT)


@pytest.mark.parametrize("search", ["monday", "ppointment", "app friday", "friday monday", "471 order"])
def test_it_is_not_found_by_what_it_does_not_say(search: str) -> None:
    assert not finds(search, TEXT)


@pytest.mark.parametrize(
    "search", ["+14165550100", "14165550100", "4165550100", "5550100", "0100", "0958", "2079460958", "41655"]
)
def test_a_number_is_found_whole_by_its_endings_and_by_the_beginning_of_either(search: str) -> None:
    assert finds(search, numbers=NUMBERS)
    assert not finds("4165550199", numbers=NUMBERS)


@pytest.mark.parametrize("search", ["", "   ", "!?", "\0", "…"])
def test_a_search_without_a_word_asks_for_nothing(search: str) -> None:
    assert query_terms(search) == []


@given(text=st.text(max_size=200), at=st.integers(0, 50), cut=st.integers(1, 40))
@example(text="İstanbul ǅemal ﬁnal ½ ſs", at=0, cut=40)
@example(text="ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ", at=1, cut=9)
@example(text="नमस्ते दुनिया", at=0, cut=3)
@example(text="_x_ 1_000", at=0, cut=2)
@example(text="🄲ircle ℡ ㎏ 🅱lock", at=0, cut=2)
def test_whatever_is_written_is_found_by_each_of_its_words(text: str, at: int, cut: int) -> None:
    assume(words(text))
    word = words(text)[at % len(words(text))]
    if word in call_terms([text], ()):  # it is not one of those that every call has
        assert finds(word, text)
        assert finds(word[:cut], text)
        assert finds(f"{word} {word}", text)


@given(text=st.text(max_size=200))
def test_case_and_composition_make_no_difference(text: str) -> None:
    found = words(text)
    for form in ("NFC", "NFD"):
        assert words(unicodedata.normalize(form, text)) == found
    assert words(text.casefold()) == found


@given(texts=st.lists(st.none() | st.text(max_size=2000), max_size=4))
@example(texts=[" ".join(f"word{number}" for number in range(1000))])
@example(texts=["x" * 100_000])
@example(texts=["\u0301" * 100_000])
def test_terms_are_few_short_and_distinct_whatever_is_said(texts: list[str | None]) -> None:
    terms = call_terms(texts, NUMBERS)
    assert len(terms) <= MAX_TERMS
    assert len(set(terms)) == len(terms)
    assert all(0 < len(term) <= MAX_TERM_CHARS for term in terms)
    assert {"14165550100", "4165550100", "5550100", "0100"} <= set(terms)


def test_a_long_search_is_cut_and_a_long_word_still_found() -> None:
    assert len(query_terms(" ".join(f"w{number}" for number in range(100)))) == MAX_QUERY_TERMS
    assert finds("x" * 500, "x" * 500)
    assert finds("x" * 40 + " y", "x" * 500 + " y")


@given(search=st.text(max_size=100))
@example(search=".*")
@example(search="a|b [x] (y) ^ $ \\")
def test_a_search_is_words_and_never_a_pattern(search: str) -> None:
    for asked in query_terms(search):
        if isinstance(asked, re.Pattern):
            assert re.fullmatch(r"\^\w+", asked.pattern.replace("\\", ""))
        else:
            assert re.fullmatch(r"\w+", asked)
