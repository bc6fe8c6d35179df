"""Hits: the sentence of a call that was searched for, cut to what a row shows, with its words marked."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.search_cases import CASES, LANGUAGE, SearchCase
from tether_rt.domain.search_hits import MAX_CHARS, MAX_HITS, Hit, Turn, finding_hits, turn_of
from tether_rt.domain.search_marks import marks_in
from tether_rt.domain.search_query import parse_search
from tether_rt.runtime.cooperative import run_to_completion


def hits_of(search: str, *messages: str, summary: str | None = None, most_chars: int = 1_000_000) -> list[Hit]:
    turns = [Turn(message, "user", 10.0 * index) for index, message in enumerate(messages)]
    hits, _ = run_to_completion(finding_hits(turns, summary, parse_search(search).marked, most_chars=most_chars))
    return hits


def marked(text: str, search: str) -> list[str]:
    return [text[start:end] for start, end in marks_in(text, parse_search(search).marked)]


def marked_in(hit: Hit) -> list[str]:
    """Cut a hit's marks out of its text as JavaScript does."""
    units = hit["text"].encode("utf-16-le")
    return [units[2 * start : 2 * end].decode("utf-16-le") for start, end in hit["marks"]]


@pytest.mark.parametrize(
    ("text", "search", "words"),
    [
        ("Die Krone (crown) für Frau Ögün: CROWNS!", "crown", ["crown", "CROWNS"]),
        ("Die Krone (crown) für Frau Ögün: CROWNS!", "ogun crowns", ["Ögün", "CROWNS"]),
        ("Hauptstraße 5", "hauptstrasse", ["Hauptstraße"]),
        ("cafe\u0301 au lait", "café", ["cafe\u0301"]),
        ("Donau\u00addampf", "donaudampf", ["Donau\u00addampf"]),
        ("明日の予約を確認したい", "予約", ["予約"]),
        ("ﾊﾞｽとバス", "バス", ["ﾊﾞｽ", "バス"]),
        ("収到iPhone15的送货", "送货 iphone", ["iPhone15", "送货"]),
        ("See you on Friday, you see", '"see you"', ["See you"]),
        ("Call 416 555-0199 about 416", "416-555-0199", ["416 555-0199"]),
        ("the crown with the tooth", "crown with", ["crown"]),
        ("Re: invoice, or re:invoice", "re:invoice", ["Re: invoice", "re:invoice"]),
        ("🎂 crown", "crown -tooth", ["crown"]),
        ("crown", "agent:crown", []),
    ],
)
def test_the_words_of_a_search_are_marked_as_they_were_written(text: str, search: str, words: list[str]) -> None:
    assert marked(text, search) == words


def test_a_hit_says_who_said_it_and_when_and_counts_as_javascript_does() -> None:
    (hit,) = hits_of("予約", "Hello", "🎂 明日の予約を確認したいです")
    assert hit == {"index": 1, "role": "user", "atS": 10.0, "text": "🎂 明日の予約を確認したいです", "marks": [[6, 8]]}
    (hit,) = hits_of("crown", "Hello", summary="A crown")
    assert hit == {"index": None, "role": None, "atS": None, "text": "A crown", "marks": [[2, 7]]}
    assert turn_of("a", 3, True) == turn_of("a", None, float("nan")) == Turn("a", None, None)


def test_the_turns_with_most_of_the_search_come_first_and_no_more_than_three() -> None:
    hits = hits_of("crown tooth", "a crown", "a tooth", "a crown and a tooth", "crown again", summary="crown and tooth")
    assert [hit["index"] for hit in hits] == [2, None, 0]
    assert len(hits_of("crown", *["a crown"] * 10)) == MAX_HITS
    assert hits_of("crown", *["no"] * 10, "a crown", most_chars=10) == []


def test_a_long_turn_is_cut_around_the_word() -> None:
    (hit,) = hits_of("zirconium", "lorem ipsum dolor " * 300 + "zirconium " + "sit amet " * 300)
    assert hit["text"].startswith("…")
    assert hit["text"].endswith("…")
    assert len(hit["text"]) <= MAX_CHARS + 2
    assert marked_in(hit) == ["zirconium"]


@pytest.mark.parametrize("case", CASES + LANGUAGE, ids=lambda case: case["about"])
def test_what_is_said_is_marked_where_it_is_found(case: SearchCase) -> None:
    for search in case["finds"]:
        for hit in hits_of(search, *case["texts"]):
            assert all(marked_in(hit)), search


@given(search=st.text(max_size=20), messages=st.lists(st.text(max_size=300), max_size=4), at=st.integers(0, 3))
@example(search="ss ß", messages=["ẞß" * 150], at=0)
@example(search="½ x", messages=["½x ½"], at=0)
def test_marks_are_ascending_parts_of_any_text(search: str, messages: list[str], at: int) -> None:
    asked = messages[at % len(messages)][:20] if messages else search
    for query in (search, asked, f'"{asked}"'):
        for hit in hits_of(query, *messages):
            assert len(hit["text"]) <= MAX_CHARS + 2
            flat = [position for mark in hit["marks"] for position in mark]
            assert flat == sorted(flat)
            assert all(start < end for start, end in hit["marks"])
            assert flat[-1] <= len(hit["text"].encode("utf-16-le", "surrogatepass")) // 2


def test_a_step_is_short_whatever_is_said() -> None:
    turns = [Turn("Grüße und " * 40_000, "user", 0.0), *(Turn("予約を" * 30, "user", 1.0) for _ in range(2_000))]
    query = parse_search("grusse 予約 zirconium")
    steps = finding_hits(turns, "x" * 65_536, query.marked, most_chars=10**9)
    count = sum(1 for _ in steps)
    assert count > len("Grüße und " * 40_000) / 2_048
