"""Search terms: the words and numbers by which a call is found. Pure.

Case and accents do not matter: "muller" finds "Müller". A telephone number is found by all of its digits, or by its last ten,
seven or four.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, TypeVar

MAX_TERMS: Final = 256
"""From a call's names, numbers and summary, and as many again from its transcript: each is an index entry."""
MAX_TERM_CHARS: Final = 32
MAX_QUERY_TERMS: Final = 8
_MAX_TEXT_CHARS: Final = 65_536
"""Words past this point of a text are not terms."""

_Term = TypeVar("_Term", str, str | re.Pattern[str])

_WORD: Final = re.compile(r"\w+")
_ASCII: Final = "".join(character if _WORD.match(character) else " " for character in map(chr, range(128))).lower()
"""A translation table for ASCII: letters in lower case, a space for whatever separates words."""
_COMMON: Final = frozenset(
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her "
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so "
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who "
    "will with would yes you your hello hi hey".split()
)
"""Words that nearly every call has. They would be the larger half of the index, and no search gains by them."""


def call_terms(texts: Iterable[str | None], numbers: Iterable[str]) -> list[str]:
    """Return the terms of a call: the forms of its numbers, then the distinct words of the texts in their order."""
    terms: dict[str, None] = {}
    for number in numbers:
        digits = number.lstrip("+")
        terms.update(dict.fromkeys((digits, digits[-10:], digits[-7:], digits[-4:])))
    found = dict.fromkeys(_whole_words(_beginning(texts)))
    terms.update(dict.fromkeys(word[:MAX_TERM_CHARS] for word in found if word not in _COMMON))
    return list(terms)[:MAX_TERMS]


def _beginning(texts: Iterable[str | None]) -> str:
    """Return the texts as lines, up to the one in which `_MAX_TEXT_CHARS` are reached."""
    lines: list[str] = []
    chars = 0
    for text in filter(None, texts):
        lines.append(text)
        chars += len(text) + 1
        if chars > _MAX_TEXT_CHARS:
            break
    return "\n".join(lines)


def indexed_terms(known: Iterable[str], spoken: Iterable[str]) -> dict[str, list[str]]:
    """Return by field (`by_field`) the terms in `known`, made by `call_terms`, and those of the spoken texts."""
    return by_field(dict.fromkeys([*known, *call_terms(spoken, ())]))


def by_field(terms: Iterable[_Term]) -> dict[str, list[_Term]]:
    """Return terms, or the patterns of a query, by the field of a call that holds them.

    `numbers` holds those that begin with a digit, `terms` all others. A call has few numbers, so that their index can hold the
    order in which calls are listed as well.
    """
    fields: dict[str, list[_Term]] = {"terms": [], "numbers": []}
    for term in terms:
        beginning = term if isinstance(term, str) else term.pattern.removeprefix("^")
        fields["numbers" if "0" <= beginning[0] <= "9" else "terms"].append(term)
    return fields


def query_terms(search: str) -> list[str | re.Pattern[str]]:
    """Return what a call's terms must match, all of it: whole words, and the last word as a prefix, since it is being typed."""
    asked = words(search)[:MAX_QUERY_TERMS]
    if not asked:
        return []
    rare: list[str | re.Pattern[str]] = [word for word in asked[:-1] if word not in _COMMON]
    if rare and asked[-1] in _COMMON:
        return rare  # "appointment with": no call has such a word among its own
    return [*rare, re.compile("^" + re.escape(asked[-1]))]


def words(text: str) -> list[str]:
    """Return a text's words without case and accents, each cut to `MAX_TERM_CHARS`."""
    return [word[:MAX_TERM_CHARS] for word in _whole_words(text)]


def _whole_words(text: str) -> list[str]:
    if len(text) > _MAX_TEXT_CHARS:
        text = text[:_MAX_TEXT_CHARS]
    # Translating and splitting takes a quarter of the time of the expression.
    return text.translate(_ASCII).split() if text.isascii() else _WORD.findall(_plain(text))


def _plain(text: str) -> str:
    # Twice, for a compatibility caseless match (Unicode, chapter 3.13, D146): 🄐 decomposes to a capital A in brackets.
    once = unicodedata.normalize("NFKD", text.casefold())
    decomposed = unicodedata.normalize("NFKD", once.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
