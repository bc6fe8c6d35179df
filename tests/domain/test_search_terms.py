"""Words to be found by: whatever word of a call somebody types, in whatever case and accents, the call is found."""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.search_cases import CASES, NOTHING, SearchCase
from tether_rt.domain.entry_terms import MAX_CHARS, making_terms
from tether_rt.domain.search_terms import (
    MAX_QUERY_TERMS,
    MAX_TERM_CHARS,
    digits_of,
    plain,
    query_readings,
    words,
)
from tether_rt.runtime.cooperative import run_to_completion

TESTS = Path(__file__).parents[1]
NUMBERS = ("+14165550100", "+442079460958")


def finds(search: str, *texts: str | None, numbers: tuple[str, ...] = ()) -> bool:
    """Say if a call with these texts is found, as MongoDB's `$all` finds it."""
    terms = terms_of(texts, numbers)
    return any(all(_matches(asked, terms) for asked in reading) for reading in query_readings(search))


def terms_of(texts: Iterable[str | None], numbers: Iterable[str] = (), names: Iterable[str | None] = ()) -> list[str]:
    return run_to_completion(making_terms(texts=texts, names=names, numbers=numbers))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_a_call_is_found_however_a_word_or_number_is_written(case: SearchCase) -> None:
    numbers = tuple(case["numbers"])
    assert [search for search in case["finds"] if not finds(search, *case["texts"], numbers=numbers)] == []
    assert [search for search in case["misses"] if finds(search, *case["texts"], numbers=numbers)] == []


FOLD = """
const { normalize, segments } = await import(process.argv[1]);
const folds = [];
for (let code = 0; code < 0x30000; code += 1) {
  const text = String.fromCodePoint(code);
  const isNone = /\\p{Cn}|\\p{Cs}/u.test(text);
  folds.push(isNone ? null : [normalize(text + "x" + text), segments(text).length > 0]);
}
console.log(JSON.stringify(folds));
"""


def test_the_dashboard_folds_every_character_as_the_server_does() -> None:
    module = (TESTS.parent / "static/js/search/words.js").as_uri()
    run = subprocess.run(["node", "--input-type=module", "-e", FOLD, module], capture_output=True, text=True, check=True)
    wrong: list[Any] = []
    for code, folded in enumerate(json.loads(run.stdout)):
        text = chr(code)
        if folded is None or unicodedata.category(text) == "Cn":
            continue  # not in the Unicode version of one of the two
        ours = [plain(f"{text}x{text}").lower(), words(text) != []]
        if [folded[0].lower(), folded[1]] != ours:  # Cherokee is folded to capitals here, and to small letters there
            wrong.append((f"U+{code:04X}", folded, ours))
    assert wrong == []


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


@pytest.mark.parametrize("search", ["", "   ", "!?", "\0", *NOTHING])
def test_a_search_without_a_word_asks_for_nothing(search: str) -> None:
    assert query_readings(search) == []


@given(text=st.text(max_size=200), at=st.integers(0, 50), cut=st.integers(1, 40))
@example(text="İstanbul ǅemal ﬁnal ½ ſs", at=0, cut=40)
@example(text="ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ", at=1, cut=9)
@example(text="नमस्ते दुनिया", at=0, cut=3)
@example(text="_x_ 1_000", at=0, cut=2)
@example(text="_1", at=0, cut=1)
@example(text="🄲ircle ℡ ㎏ 🅱lock", at=0, cut=2)
def test_whatever_is_written_is_found_by_each_of_its_words(text: str, at: int, cut: int) -> None:
    assume(words(text))
    word = words(text)[at % len(words(text))]
    if word in terms_of([text]):  # it is not one of those that every call has
        asked = word.removeprefix(":")
        assert finds(asked, text)
        assert finds(asked[:cut], text)
        assert finds(f"{asked} {asked}", text)


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
def test_terms_are_short_and_distinct_whatever_is_said(texts: list[str | None]) -> None:
    terms = terms_of(texts, NUMBERS)
    assert len(set(terms)) == len(terms)
    assert all(0 < len(term) <= MAX_TERM_CHARS for term in terms)
    assert {"_" + "14165550100"[at:] for at in range(8)} <= set(terms)


def test_a_long_search_is_cut_and_a_long_word_still_found() -> None:
    (asked,) = query_readings(" ".join(f"w{number}" for number in range(100)))
    assert len(asked) == MAX_QUERY_TERMS
    assert finds("x" * 500, "x" * 500)
    assert finds("x" * 40 + " y", "x" * 500 + " y")


@given(search=st.text(max_size=100))
@example(search=".*")
@example(search="a|b [x] (y) ^ $ \\")
def test_a_search_is_words_and_never_a_pattern(search: str) -> None:
    for asked in (one for reading in query_readings(search) for one in reading):
        text = asked.pattern.removeprefix("^").replace("\\", "") if isinstance(asked, re.Pattern) else asked
        assert not re.search(r"[^\w:]", "".join(one for one in text if unicodedata.category(one)[0] != "M"))


@given(number=st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), at=st.integers(0, 11), how=st.sampled_from("- ./"))
@example(number="442079460958", at=2, how=" ")
def test_every_part_of_a_number_finds_it_with_and_without_separators(number: str, at: int, how: str) -> None:
    part = number[min(at, len(number) - 4) :]
    assert finds(part, numbers=(f"+{number}",))
    assert digits_of(part) in number
    if len(part) > 4:
        assert finds(f"{part[:3]}{how}{part[3:]}", numbers=(f"+{number}",))
        assert finds(f"0{part}", numbers=(f"+{number}",))


def test_all_that_was_said_in_three_hours_has_terms_and_more_than_the_limit_has_not() -> None:
    turns = [f"we spoke of word{number} and of other things that took their time, {'la ' * 20}" for number in range(2_000)]
    assert sum(map(len, turns)) > 200_000
    terms = set(terms_of(turns))
    assert {f"word{number}" for number in range(2_000)} <= terms
    assert {"word0", "word499"} <= set(terms_of([*(f"word{number}" for number in range(500)), "x" * MAX_CHARS, "never"]))
    assert "never" not in terms_of(["x" * MAX_CHARS, "never"])


@given(text=st.text(alphabet="ab 予約", max_size=60), times=st.integers(1, 400))
def test_no_word_and_no_pair_is_lost_where_a_long_text_is_cut(text: str, times: int) -> None:
    once = set(terms_of([f"{text} {text}", text + text]))
    long = set(terms_of([text * 2 * times]))
    assert {one for one in terms_of([text + text]) if one.startswith(":")} <= long or times == 1
    assert set(terms_of([f"{text} " * times])) <= once


def test_words_of_nearly_every_call_count_in_names() -> None:
    assert {"an", "will", "do"} <= set(terms_of(["an appointment"], names=["An Do", "Will Best"]))
    assert "an" not in terms_of(["an appointment"])
