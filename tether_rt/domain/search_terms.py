"""The words a call is found by: made when it is stored, matched when it is searched. Pure.

Case and accents do not matter: "Müller" is found by "muller". A telephone number is found whole, by its last ten, seven or
four digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, TypeVar

MAX_TERMS: Final = 256
"""Of a call's names and summary, and as many again of what was spoken: each is an entry in an index."""
MAX_TERM_CHARS: Final = 32
MAX_QUERY_TERMS: Final = 8
_MAX_TEXT_CHARS: Final = 65_536

_Term = TypeVar("_Term", str, str | re.Pattern[str])

_WORD: Final = re.compile(r"\w+")
_ASCII: Final = "".join(character if _WORD.match(character) else " " for character in map(chr, range(128))).lower()
"""What ASCII characters are to a comparison: letters without case, and what separates words as a space."""
_COMMON: Final = frozenset(
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her "
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so "
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who "
    "will with would yes you your hello hi hey".split()
)
"""Words of nearly every call: an entry for each would be the larger half of the index, and nobody finds a call by them."""


def call_terms(texts: Iterable[str | None], numbers: Iterable[str]) -> list[str]:
    """Return the distinct words of the texts, in their order, and the forms a number is searched in."""
    terms: dict[str, None] = {}
    for number in numbers:
        digits = number.lstrip("+")
        terms.update(dict.fromkeys((digits, digits[-10:], digits[-7:], digits[-4:])))
    spoken = dict.fromkeys(_whole_words("\n".join(filter(None, texts))))
    terms.update(dict.fromkeys(word[:MAX_TERM_CHARS] for word in spoken if word not in _COMMON))
    return list(terms)[:MAX_TERMS]


def indexed_terms(known: Iterable[str], said: Iterable[str]) -> dict[str, list[str]]:
    """Return, by field, the terms that a call is found by: those known (`call_terms`), and the words that were said."""
    return by_field(dict.fromkeys([*known, *call_terms(said, ())]))


def by_field(terms: Iterable[_Term]) -> dict[str, list[_Term]]:
    """Return terms, or what is asked of them, by the field that a call has them in.

    Those that begin with a digit are in `numbers`, all others in `terms`. Of numbers a call has a few, so their
    index can afford what that of words cannot: the order in which calls are listed.
    """
    fields: dict[str, list[_Term]] = {"terms": [], "numbers": []}
    for term in terms:
        beginning = term if isinstance(term, str) else term.pattern.removeprefix("^")
        fields["numbers" if "0" <= beginning[0] <= "9" else "terms"].append(term)
    return fields


def query_terms(search: str) -> list[str | re.Pattern[str]]:
    """Return what the terms must hold, for `$all`: whole words, and the last one as a prefix, as a person types it."""
    asked = words(search)[:MAX_QUERY_TERMS]
    if not asked:
        return []
    rare: list[str | re.Pattern[str]] = [word for word in asked[:-1] if word not in _COMMON]
    if rare and asked[-1] in _COMMON:
        return rare  # "appointment with": no call has such a word among its own
    return [*rare, re.compile("^" + re.escape(asked[-1]))]


def words(text: str) -> list[str]:
    """Return a text's words as they are compared: without case and accents, at most `MAX_TERM_CHARS` long."""
    return [word[:MAX_TERM_CHARS] for word in _whole_words(text)]


def _whole_words(text: str) -> list[str]:
    if len(text) > _MAX_TEXT_CHARS:
        text = text[:_MAX_TEXT_CHARS]
    # To translate and split takes a quarter of what the expression does.
    return text.translate(_ASCII).split() if text.isascii() else _WORD.findall(_plain(text))


def _plain(text: str) -> str:
    # Twice, as Unicode's compatibility caseless match has it (chapter 3.13, D146): what 🄐 is taken apart into is an A.
    once = unicodedata.normalize("NFKD", text.casefold())
    decomposed = unicodedata.normalize("NFKD", once.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
