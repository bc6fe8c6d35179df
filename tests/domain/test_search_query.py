"""The language of a search: what each way to write one asks for, and that a call matches exactly by that."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.search_cases import CASES, LANGUAGE, LANGUAGE_NOTHING, NOTHING, SearchCase
from tether_rt.domain.call_match import MAX_METADATA_VALUES, CallTexts, matches, metadata_values
from tether_rt.domain.entry_terms import making_call_terms
from tether_rt.domain.search_query import MAX_CONDITIONS, Field, Phrase, SearchQuery, line_of, parse_search
from tether_rt.domain.search_terms import MAX_QUERY_TERMS, Term
from tether_rt.runtime.cooperative import run_to_completion


def texts_of(case: SearchCase) -> CallTexts:
    return CallTexts(
        texts=case["texts"],
        names=case.get("names", []),
        numbers=case["numbers"],
        agent_name=case.get("agentName"),
        ids=("0123456789abcdef01234567", case.get("externalCallId")),
        metadata=case.get("metadata"),
    )


@pytest.mark.parametrize("case", CASES + LANGUAGE, ids=lambda case: case["about"])
def test_a_call_matches_however_a_search_is_written(case: SearchCase) -> None:
    call = texts_of(case)
    assert [search for search in case["finds"] if not matches(call, parse_search(search))] == []
    assert [search for search in case["misses"] if matches(call, parse_search(search))] == []


@pytest.mark.parametrize("search", ["", "  ", *NOTHING, *LANGUAGE_NOTHING])
def test_a_search_without_anything_to_look_for_is_nothing_and_not_everything(search: str) -> None:
    query = parse_search(search)
    assert query.is_nothing
    assert query.alternatives == ()
    assert query.pasted_id is None
    assert not matches(CallTexts(texts=["", "anything", search], ids=(search,)), query)


def test_the_ids_of_a_call_lead_to_it() -> None:
    call = CallTexts(ids=("0123456789abcdef01234567", None, "conversation-1"))
    for search in ("0123456789abcdef01234567", "conversation-1", "id:conversation-1", " 0123456789abcdef01234567\n"):
        assert matches(call, parse_search(search)), search
    assert not matches(call, parse_search("0123456789abcdef0123456"))
    assert parse_search("id:a id:b").ids == ("a", "b")


def test_what_is_beyond_the_limits_is_named() -> None:
    words = [f"w{number}" for number in range(MAX_QUERY_TERMS + 2)]
    assert parse_search(" ".join(words)).ignored == tuple(words[MAX_QUERY_TERMS:])
    phrases = [f'"p{number}"' for number in range(MAX_CONDITIONS + 1)]
    assert parse_search(" ".join(phrases)).ignored == (phrases[-1],)
    assert parse_search('how "are you"').ignored == ("how",)
    assert parse_search("how are you").common == ("how", "are", "you")
    assert parse_search("how are you rosa").common == ()
    assert parse_search("予" * 40).ignored == ()


def test_conditions_say_what_they_are() -> None:
    query = parse_search('crown "on friday" agent:Zoë Plan.Name:"Very Gold" -later')
    assert query.readings == (("crown",),) or query.readings == ((re.compile("^crown"),),)
    assert query.required == (
        Phrase(("on", "friday")),
        Field("agent", Phrase(("zoe",)), "Zoë"),
        Field("plan.name", Phrase(("very", "gold")), "Very Gold", Phrase(("plan", "name", "very", "gold"))),
    )
    assert query.excluded == (Phrase(("later",)),)
    assert query.needs_reading
    assert not parse_search("crown friday").needs_reading


def terms_of(call: CallTexts) -> list[str]:
    return run_to_completion(making_call_terms(call))


def has_all(terms: list[str], asked: tuple[Term, ...]) -> bool:
    return all(any(term.search(one) for one in terms) if isinstance(term, re.Pattern) else term in terms for term in asked)


WORDS = st.sampled_from(
    [
        "crown",
        "cro",
        "friday",
        "the",
        "予約",
        "予約を",
        "確認",
        "を",
        "4711",
        "416-555-0199",
        "-later",
        '"on',
        'friday"',
        "plan:gold",
    ]
)
QUERIES = st.lists(WORDS, max_size=5).map(" ".join) | st.text(max_size=40)


@given(search=QUERIES, texts=st.lists(QUERIES, max_size=3), number=st.sampled_from(["+14165550199", "+442079460958"]))
@example(search="to be", texts=["to be"], number="+14165550199")
@example(search='"the crown', texts=["the crowns"], number="+14165550199")
def test_a_call_that_matches_has_the_terms_of_an_alternative(search: str, texts: list[str], number: str) -> None:
    query = parse_search(search)
    call = CallTexts(texts=texts, numbers=[number], metadata={"plan": "gold"})
    is_candidate = any(has_all(terms_of(call), asked) for asked in query.alternatives)
    assert is_candidate or not matches(call, query)
    if not query.needs_reading and search.strip() != "_":  # which endings of numbers begin with
        assert is_candidate == matches(call, query)


@given(text=st.text(max_size=60), tail=st.text(max_size=20))
@example(text="ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ", tail="!")
@example(text="収到iPhone15", tail=" ")
def test_a_text_in_quotes_is_found_and_excluded_as_it_stands(text: str, tail: str) -> None:
    phrase = re.sub('["“”„«»「」＂]', " ", text)
    call = CallTexts(texts=[f"{text}{' ' + tail}"])
    quoted = parse_search(f'"{phrase}"')
    if quoted.is_nothing or quoted.readings:
        return  # nothing, or a telephone number
    assert matches(call, quoted)
    assert not matches(CallTexts(texts=["zzz", *call.texts]), parse_search(f'zzz -"{phrase}"'))


@given(st.text(max_size=80))
def test_any_text_is_a_search_and_the_same_each_time(search: str) -> None:
    query = parse_search(search)
    assert query == parse_search(search)
    assert isinstance(query, SearchQuery)
    assert query.is_nothing == (query.alternatives == ())
    assert len(query.required) <= MAX_CONDITIONS + len(search)


def test_metadata_is_read_up_to_a_limit() -> None:
    nested: dict[str, object] = {"a": {"B": [1, {"c": True}, None]}, **{f"k{number}": "x" * 600 for number in range(200)}}
    values = list(metadata_values(nested))
    assert values[:3] == [("a.b", "1"), ("a.b.c", "true"), ("k0", "x" * 512)]
    assert len(values) == MAX_METADATA_VALUES
    assert line_of("Ünder Straße") == " under strasse "
