"""Whether a call matches a search (`search_query`), by its texts. Pure; `static/js/search/query.js` has the same rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from tether_rt.domain.search_query import AGENT, ID, Condition, Field, Phrase, SearchQuery, line_of
from tether_rt.domain.search_terms import MAX_TERM_CHARS, MIN_PART, PAIR, PART, Term, common_words, plain

MAX_METADATA_VALUES: Final = 128
MAX_METADATA_CHARS: Final = 512
"""Of a value in the metadata; what is behind is not searched."""
_MAX_DEPTH: Final = 8
_WHOLE_FLOATS: Final = 1e15
"""Whole numbers below this one are written with digits alone in Python and JavaScript, whatever their type."""

_Kind = TypeVar("_Kind", Phrase, Field)


class CallTexts(NamedTuple):
    """What of a call is searched."""

    texts: Iterable[str | None] = ()
    """The summary, and what was said, turn by turn."""
    names: Iterable[str | None] = ()
    """Names and SIP addresses, in which the words of nearly every call count as well; the word for a withheld number."""
    numbers: Iterable[str] = ()
    """Numbers in E.164."""
    agent_name: str | None = None
    """Is searched as one of the names, too."""
    ids: tuple[str | None, ...] = ()
    """The ids of the call, of its vendor and of its conversation."""
    metadata: Mapping[str, Any] | None = None


def matches(call: CallTexts, query: SearchQuery) -> bool:
    """Say if a call matches a search."""
    match = CallMatch(query)
    match.read_facts(call)
    for text in call.texts:
        match.read(text)
    return match.is_match


class CallMatch:
    """A call that is read, text by text, to find out if it matches a search; `read_facts`, then `read` each text."""

    def __init__(self, query: SearchQuery) -> None:
        self._query = query
        self._terms = {term: _TermPatterns.of(term) for reading in query.readings for term in reading}
        self._found: set[Term | Condition] = set()
        self._has_pasted_id = False

    @property
    def is_match(self) -> bool:
        """Whether the call matches, as far as it was read."""
        query = self._query
        if self._has_pasted_id:
            return True
        if query.is_nothing or any(one in self._found for one in query.excluded):
            return False
        has_words = not query.readings or any(all(term in self._found for term in reading) for reading in query.readings)
        return has_words and all(one in self._found for one in query.required)

    def read_facts(self, call: CallTexts) -> None:
        """Read all but the `texts` of a call."""
        ids = [one for one in call.ids if one]
        self._has_pasted_id = self._query.pasted_id in ids
        for name in (*call.names, call.agent_name):
            self.read(name, is_name=True)
        for number in call.numbers:
            self._read_number(number.lstrip("+"))
        values = list(metadata_values(call.metadata))
        for _, value in values:
            self.read(value)
        agent_line = line_of(call.agent_name or "")
        for field in self._missing(Field):
            if field.name == ID:
                is_so = field.raw in ids
            elif field.name == AGENT:
                is_so = field.value.line in agent_line
            else:
                is_so = any(name == field.name and field.value.line in line_of(value) for name, value in values)
            if is_so:
                self._found.add(field)

    def read(self, text: str | None, *, is_name: bool = False) -> None:
        """Read the summary, a turn, or another text. Takes 1 ms for some 20,000 characters, or 200,000 of ASCII."""
        if not text:
            return
        line = line_of(text)
        self._found.update(term for term, patterns in self._terms.items() if patterns.has(line, is_name=is_name))
        self._found.update(one for one in self._missing(Phrase) if one.line in line)
        self._found.update(one for one in self._missing(Field) if one.said is not None and one.said.line in line)

    def _read_number(self, digits: str) -> None:
        self._found.update(term for term, patterns in self._terms.items() if patterns.is_part_of(digits))
        self._found.update(one for one in self._missing(Phrase) if one.digits and one.digits in digits)

    def _missing(self, kind: type[_Kind]) -> list[_Kind]:
        conditions = (*self._query.required, *self._query.excluded)
        return [one for one in conditions if isinstance(one, kind) and one not in self._found]


class _TermPatterns(NamedTuple):
    """How a term is found in the line of a text, in that of a name, and in a number."""

    in_text: re.Pattern[str]
    in_name: re.Pattern[str]
    digits: str
    is_beginning: bool

    @classmethod
    def of(cls, term: Term) -> _TermPatterns:
        is_beginning = isinstance(term, re.Pattern)
        word = term.pattern.removeprefix("^") if isinstance(term, re.Pattern) else term
        digits = word[1:] if word[0] == PART and word[1:].isdigit() else ""
        if word[0] == PAIR:
            run = re.escape(word[1:])
            pattern = re.compile(run if len(word) > 2 else f"{run}[^ ]| {run} ")
            return cls(pattern, pattern, "", is_beginning)
        pattern = re.compile(f" {re.escape(word)}" + ("" if is_beginning or len(word) == MAX_TERM_CHARS else " "))
        common = "|".join(common_words(word)) if is_beginning else ""
        return cls(re.compile(f" (?!(?:{common}) ){pattern.pattern[1:]}") if common else pattern, pattern, digits, is_beginning)

    def has(self, line: str, *, is_name: bool) -> bool:
        return (self.in_name if is_name else self.in_text).search(line) is not None

    def is_part_of(self, number: str) -> bool:
        at = number.find(self.digits) if self.is_beginning else len(number) - len(self.digits)
        is_found = number.startswith(self.digits, at) if at >= 0 else False
        return bool(self.digits) and is_found and at <= max(0, len(number) - MIN_PART)


def metadata_values(metadata: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield the names (`Field.name`) and texts of the metadata's values, at most `MAX_METADATA_VALUES`.

    Objects and arrays are looked into; an array's values have its name. Null is no value.
    """
    yield from islice(_values("", metadata or {}, 0), MAX_METADATA_VALUES)


def _values(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        for key, inner in value.items():
            yield from _values(f"{name}.{plain(key)}" if name else plain(key), inner, depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for inner in value:
            yield from _values(name, inner, depth + 1)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOATS:
        yield name, str(int(value))
    elif isinstance(value, str | int | float):
        yield name, str(value)[:MAX_METADATA_CHARS]
