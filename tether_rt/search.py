"""The words a call is found by: made when it is stored, matched when it is searched. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

MAX_TERMS: Final = 128
MAX_TERM_CHARS: Final = 32
MAX_QUERY_TERMS: Final = 8
_WORD: Final = re.compile(r"\w+")


def call_terms(texts: Iterable[str | None], numbers: Iterable[str]) -> list[str]:
    """Return the distinct words of the texts and the forms a number is searched in: whole, national tail, last four."""
    terms: dict[str, None] = {}
    for number in numbers:
        digits = number.lstrip("+")
        terms.update(dict.fromkeys((digits, digits[-10:], digits[-7:], digits[-4:])))
    for text in texts:
        # A word past the bound is not indexed: 16 KiB hold far more than MAX_TERMS words.
        for word in _WORD.findall((text or "")[:16_384].casefold()):
            terms[word[:MAX_TERM_CHARS]] = None
            if len(terms) >= MAX_TERMS:
                return list(terms)
    return list(terms)


def query_terms(search: str) -> list[Any]:
    """Return what `terms` must hold, for `$all`: whole words, and the last one as a prefix, as a person types it."""
    words = [word[:MAX_TERM_CHARS] for word in _WORD.findall(search.casefold())][:MAX_QUERY_TERMS]
    if not words:
        return []
    return [*words[:-1], re.compile("^" + re.escape(words[-1]))]
