"""The language of a search. Pure; `static/js/search/query.js` has the same rules.

    rosa 416-555-0199    words and numbers, all of them, in any order; the last word may be the beginning of one
    "see you friday"     a phrase: these words beside each other in one text, a turn for example
    -later -"no show"    not these; there must be something else to look for
    agent:rosa           the agent's name has this word
    id:4711              the id of the call, of its vendor (`externalCallId`) or of its conversation, exactly
    plan:"very gold"     the value of this key of `metadata` has these words; nested keys are joined by dots (`plan.name:gold`)

A search that is such an id as a whole leads to its calls as well. A minus inside a word or before a space, and a colon behind a
digit, before a slash or before a space are no operators, nor is that of `tel:` or `sip:`; a word, a colon and a value that are
said as they stand in the search are found too. Characters that open or close a quotation in print may stand for `"`.

A query is executed in two steps. `SearchQuery.alternatives` are lists of terms (`search_terms`): a call that matches has all
terms of one list, if it is indexed with the words of its texts and names (`call_match.CallTexts`), with those of the values of
its metadata, and with its numbers. Where `needs_reading` is true, terms alone do not decide: the calls found are read, and
`call_match` tells. Calls with an id that is asked for are found by that (`ids`, `pasted_id`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from tether_rt.domain.search_terms import (
    MAX_QUERY_TERMS,
    MAX_TERM_CHARS,
    MIN_TYPED,
    NUMBER,
    Term,
    common_words,
    is_common,
    is_unspaced,
    pairs_of,
    plain,
    query_readings,
    segments,
    telephone_digits,
    words,
)

MAX_CONDITIONS: Final = 16
"""Phrases, exclusions and fields of a search; further ones are ignored, and `SearchQuery.ignored` says so."""
_MIN_PHRASE_DIGITS: Final = 7
"""Digits of the shortest number that is excluded as one: `-2026` must not exclude all numbers with these digits."""

AGENT: Final = "agent"
ID: Final = "id"
_SCHEMES: Final = frozenset(("tel", "sip", "sips", "mailto", "http", "https"))
"""Words before a colon that belong to an address."""

_DIGIT_BEFORE: Final = re.compile(r"[0-9)]\s*\Z")
_DIGIT_BEHIND: Final = re.compile(r"[-－][0-9]+(?!\w)")
_QUOTES: Final = '"“”„«»「」＂'
_PIECE: Final = re.compile(
    rf"""
    (?P<minus>[-－](?=[^\s-]))?
    (?:(?:(?P<name>[^\W\d][^\s:：/{_QUOTES}]*)|[{_QUOTES}](?P<quoted_name>[^{_QUOTES}]+)[{_QUOTES}])[:：](?=[^\s/:：]))?
    (?:[{_QUOTES}](?P<quoted>[^{_QUOTES}]*)(?P<closing>[{_QUOTES}]|\Z)|(?P<bare>\S+))
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand beside each other in one text, or a telephone number."""

    words: tuple[str, ...]
    """Without case and accents, at least one; a run of characters of a script without spaces counts as a word."""
    is_open: bool = False
    """Whether the last word may be the beginning of one, as it is still being typed."""
    digits: str = ""
    """The digits of a telephone number, as a part of it in E.164; "" if the phrase is none. Only what is excluded has some."""

    @property
    def line(self) -> str:
        """Return what the `line_of` a text with this phrase contains."""
        before = "" if is_unspaced(self.words[0]) else " "
        after = "" if self.is_open or is_unspaced(self.words[-1]) else " "
        return before + " ".join(self.words) + after

    @property
    def terms(self) -> tuple[Term, ...]:
        """Return terms that every call with this phrase has; none if it has only words of nearly every call."""
        terms: list[Term] = []
        for at, word in enumerate(self.words):
            is_beginning = self.is_open and at == len(self.words) - 1
            if is_unspaced(word):
                terms += pairs_of(word) if len(word) > 1 else []
            elif is_beginning and not common_words(word):
                terms.append(re.compile("^" + re.escape(word[:MAX_TERM_CHARS])))
            elif not is_beginning and not is_common(word):
                terms.append(word[:MAX_TERM_CHARS])
        return tuple(terms)


@dataclass(frozen=True, slots=True)
class Field:
    """A field and the value that it is to have."""

    name: str
    """`AGENT`, `ID`, or a key of the metadata as `plain` makes it; the keys of nested objects are joined by dots."""
    value: Phrase
    raw: str
    """The value as it was typed; ids are compared with it."""
    said: Phrase | None = None
    """The name and the value as a phrase, which a call matches as well; None for `AGENT` and `ID`."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """Return terms that every call with this value has, as `Phrase.terms`; none for `ID`."""
        return () if self.name == ID else self.value.terms


Condition = Phrase | Field


@dataclass(frozen=True)
class SearchQuery:
    """A search. A call matches if one of the readings, all that is required and nothing that is excluded hold for it."""

    readings: tuple[tuple[Term, ...], ...] = ()
    """What the words and numbers may mean (`search_terms.query_readings`); empty if there are none."""
    required: tuple[Condition, ...] = ()
    """Also the runs of three characters or more of scripts without spaces, whose pairs must follow each other."""
    excluded: tuple[Condition, ...] = ()
    pasted_id: str | None = None
    """The whole search where it may be an id: a call with it matches, whatever else holds."""
    ignored: tuple[str, ...] = ()
    """What is not looked for, as it was typed: it is beyond the limits, or a common word beside something better."""
    marked: tuple[Phrase, ...] = ()
    """What is marked where a matching call is shown: words, phrases, and values of fields with their names."""
    common: tuple[str, ...] = ()
    """The words, if nearly every call has all of them: names with them are found, and words that begin like the last one."""

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to look for: no call matches. Exclusions alone are nothing."""
        return not self.readings and not self.required

    @property
    def needs_reading(self) -> bool:
        """Whether calls found by their terms must be read to decide."""
        return bool(self.required or self.excluded)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of which a call must have each: one, as a rule."""
        return tuple(one.raw for one in self.required if isinstance(one, Field) and one.name == ID)

    @cached_property
    def alternatives(self) -> tuple[tuple[Term, ...], ...]:
        """Return lists of terms: a matching call has all of one list. An empty list says nothing of it, as where only
        common words or ids are asked for. There is none if `is_nothing`.
        """
        if self.is_nothing:
            return ()
        needed = [term for one in self.required for term in one.terms]
        return tuple(dict.fromkeys(tuple(dict.fromkeys([*reading, *needed])) for reading in self.readings or ((),)))


def parse_search(search: str) -> SearchQuery:
    """Return what a search asks for; never raises."""
    text: list[str] = []
    required: list[Condition] = []
    excluded: list[Condition] = []
    ignored: list[str] = []
    at = 0
    while piece := _PIECE.search(search, at):
        at = piece.end()
        condition = None if _is_text(piece) else _condition(piece)
        if condition is None and piece["minus"] is None:
            if plain(piece["name"] or "") not in (AGENT, ID) and segments(piece[0]):
                text.append(piece[0])
        elif condition is not None and len(required) + len(excluded) < MAX_CONDITIONS:
            (required if piece["minus"] is None else excluded).append(condition)
        elif condition is not None:
            ignored.append(piece[0])
    plain_text = " ".join(text)
    runs = dict.fromkeys(one for one in segments(plain_text) if is_unspaced(one) and len(one) > 2)
    common = text if text and all(is_common(word) for word in words(plain_text)) else []
    if common and required:
        plain_text, common, text, ignored = "", [], [], [*ignored, *text]
    query = SearchQuery(
        readings=tuple(tuple(reading) for reading in query_readings(plain_text)),
        required=(*required, *(Phrase((run,)) for run in runs)),
        excluded=tuple(excluded),
        ignored=(*ignored, *_ignored_words(text)),
        marked=tuple(dict.fromkeys((*_marked_words(plain_text), *_marked_conditions(required)))),
        common=tuple(common),
    )
    pasted = search.strip()
    return query if query.is_nothing or re.search(r"\s", pasted) else replace(query, pasted_id=pasted)


def _is_text(piece: re.Match[str]) -> bool:
    """Say if a piece of a search is no operator."""
    if piece["minus"] is not None:
        # "416 -555": a number with a space before its dash.
        return _DIGIT_BEHIND.match(piece[0]) is not None and _DIGIT_BEFORE.search(piece.string, 0, piece.start()) is not None
    if piece["quoted"] is not None:
        return not piece["name"] and not piece["quoted_name"] and len(telephone_digits(piece["quoted"])) >= MIN_TYPED
    return piece["quoted_name"] is None and (piece["name"] is None or piece["name"].lower() in _SCHEMES)


def _condition(piece: re.Match[str]) -> Condition | None:
    """Return what a piece of a search asks for; None if that has no letter or digit."""
    name: str | None = piece["name"] or piece["quoted_name"]
    is_quoted = piece["quoted"] is not None
    raw: str = piece["quoted"] if is_quoted else piece["bare"]
    if name is not None and name.lower() in _SCHEMES:
        name, raw = None, f"{name}:{raw}"
    is_open = not piece["closing"] if is_quoted else name is not None and piece.end() == len(piece.string)
    value = tuple(segments(raw))
    if not value:
        return None
    if name is None:
        digits = telephone_digits(raw)
        return Phrase(value, is_quoted and is_open, digits if len(digits) >= _MIN_PHRASE_DIGITS else "")
    name = plain(name)
    if name in (AGENT, ID):
        return Field(name, Phrase(value, is_open and name == AGENT), raw)
    return Field(name, Phrase(value, is_quoted and is_open), raw, Phrase((*segments(name), *value), is_quoted and is_open))


def _marked_words(text: str) -> list[Phrase]:
    """Return the words of a search that are marked: those of a telephone number beside each other, common words seldom."""
    folded = plain(text)
    found: list[tuple[str, ...]] = []
    at = 0
    for run in NUMBER.finditer(folded):
        if len(telephone_digits(run[0])) >= _MIN_PHRASE_DIGITS:
            found += [(word,) for word in segments(folded[at : run.start()])]
            found.append(tuple(segments(run[0])))
            at = run.end()
    found += [(word,) for word in segments(folded[at:])]
    del found[MAX_QUERY_TERMS:]
    if not found:
        return []
    rare = [Phrase(one) for one in found[:-1] if not is_common(one[0])]
    return rare if rare and is_common(found[-1][0]) else [*rare, Phrase(found[-1], is_open=True)]


def _marked_conditions(required: list[Condition]) -> Iterator[Phrase]:
    for one in required:
        phrase = one.said if isinstance(one, Field) else one
        if phrase is not None:
            yield phrase


def _ignored_words(text: list[str]) -> list[str]:
    """Return the words past `MAX_QUERY_TERMS`."""
    ignored: list[str] = []
    count = 0
    for one in text:
        is_required = all(is_unspaced(segment) and len(segment) > 2 for segment in segments(one))
        count += len(words(one))
        if count > MAX_QUERY_TERMS and not is_required:
            ignored.append(one)
    return ignored


def line_of(text: str) -> str:
    """Return a text's words (`segments`) with a space before, between and behind them, in which a `Phrase.line` is found."""
    return f" {' '.join(segments(text))} "
