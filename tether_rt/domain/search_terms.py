"""Search terms: the words and numbers by which a call is found. Pure; `static/js/search/query.js` has the same rules.

Case and accents do not matter: "muller" finds "Müller", "strasse" finds "Straße". Vowel signs do: "किताब" is one word. Scripts
without spaces between words are found by any two characters that follow each other. A telephone number is found by any part of
it that has four digits or more, however it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

MAX_TERM_CHARS: Final = 32
MAX_QUERY_TERMS: Final = 16
_MAX_TEXT_CHARS: Final = 65_536
"""Words past this point of a text are not terms."""
_MAX_PAIRS_LOOKED_AT: Final = 8_192
"""In a text, each time whether it is a new one: some milliseconds."""
MIN_PART: Final = 4
"""Digits of the shortest ending of a number."""
MIN_TYPED: Final = 3
"""Fewer digits are no part of a number: an area code may be the first that is typed."""
PAIR: Final = ":"
"""Begins the terms that are pairs of characters."""

PART: Final = "_"
"""Begins the terms that are endings of telephone numbers, so that "12" in a search is no part of one."""

Term = str | re.Pattern[str]
"""What a search asks for: a term, or the beginning of terms as a pattern."""

_VOWEL_SIGNS: Final = "\u0900-\u109f\u1700-\u17ff\u1900-\u1aaf\u1b00-\u1cff\u3099\u309a\ua800-\uabff\U00011000-\U00011fff"
"""Where combining marks are part of a word's spelling: the scripts of South and South-East Asia, and voiced kana."""
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaa7f\U00020000-\U0003ffff"
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Bopomofo, Han."""
_BLOCKS: Final = ((0xAD, 0x3100), (0xA66F, 0xABF0), (0xFB1E, 0xFF00), (0xFFF9, 0xFFFC), (0x101FD, 0x12000), (0x13430, 0x13460))
_MORE_BLOCKS: Final = ((0x16AF0, 0x16FF5), (0x1BC9D, 0x1BCA4), (0x1CF00, 0x1E950), (0xE0001, 0xE01F0))
_CHARACTERS: Final = [chr(code) for block in (*_BLOCKS, *_MORE_BLOCKS) for code in range(*block)]
"""All marks and formats are among these; looking at every character would take a tenth of a second."""
MARKS: Final = "".join(one for one in _CHARACTERS if unicodedata.category(one)[0] == "M")
_KEPT: Final = "".join(re.findall(f"[{_VOWEL_SIGNS}]", MARKS))
_UNSEEN: Final = {*MARKS} - {*_KEPT} | {one for one in _CHARACTERS if unicodedata.category(one) == "Cf"}
"""Accents, and characters that nobody sees: a soft hyphen does not cut a word."""
CLUSTER: Final = re.compile(f"[^{MARKS}][{MARKS}{''.join(_UNSEEN - {*MARKS})}\uff9e\uff9f]*|[{MARKS}]+", re.DOTALL)
"""A character with the marks behind it, and with what nobody sees."""


def _class(characters: Iterable[str], *, is_astral: bool) -> str:
    return "".join(sorted(one for one in characters if (one >= "\U00010000") is is_astral))


# Characters past U+FFFF stand apart, as an expression looks for them one by one.
_IGNORED: Final = re.compile(
    f"[{_class(_UNSEEN, is_astral=False)}]|(?=[\U00010000-\U0010ffff])[{_class(_UNSEEN, is_astral=True)}]"
)
WORD: Final = re.compile(
    rf"(?:[\w{_class(_KEPT, is_astral=False)}]|(?=[\U00010000-\U0010ffff])[{_class(_KEPT, is_astral=True)}])+"
)
_VOICED: Final = re.compile("[\u3040-\u30ff][\u3099\u309a]")
SEGMENT: Final = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_HAS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")
_ASCII: Final = "".join(character if re.match(r"\w", character) else " " for character in map(chr, range(128))).lower()
"""A translation table for ASCII: letters in lower case, a space for whatever separates words."""
NUMBER: Final = re.compile(r"(?<!\w)(?:tel:)?[+(]*[0-9](?:[\s()./\u2010-\u2015\u2212-]*[0-9])*(?!\w)", re.IGNORECASE)
"""Digits with what is written between those of a telephone number."""
_DIALLED: Final = re.compile(r"\A(?:011(?=[0-9]{10})|0+(?=[0-9]{4})|8(?=[0-9]{10}\Z))")
"""What is dialled before a number: for calls abroad (011, 00), within a country (0; 8 in Russia)."""
_MOBILE: Final = re.compile(r"\A5(?:21?|49?)(?=[0-9]{10}\Z)")
"""The country codes of Mexico and Argentina, whose numbers have another digit behind it or not (`phone.same_telephone`)."""
_COMMON: Final = frozenset(
    "a about after all also am an and any are as at be been but by can could did do does for from get go had has have he her "
    "here him his how i if in is it its just know let like me my no not now of ok okay on one or our out please right she so "
    "some that thank thanks the them then there they this to today too up us very was we well were what when where which who "
    "will with would yes you your hello hi hey".split()
)
"""Words that nearly every call has. They would be the larger half of the index, and no search gains by them."""


def query_readings(search: str) -> list[list[Term]]:
    """Return what a search may mean; a call is found if its terms match all of one reading. None without letter or digit.

    Terms are whole words, and the last word as a prefix, since it is being typed. Digits that may be a telephone number are
    read as one too, both as a part of one and as a word that somebody said.
    """
    folded = plain(search)
    readings = [
        _asked(list(_tokens(folded))),
        _asked(list(_tokens(NUMBER.sub(lambda match: _as_number(match[0], PART), folded)))),
        _asked(list(_tokens(NUMBER.sub(lambda match: _as_number(match[0], ""), folded)))),
    ]
    return [reading for at, reading in enumerate(readings) if reading and reading not in readings[:at]]


def digits_of(text: str) -> str:
    """Return the digits of a number that was typed, without what is dialled before it: they are a part of it in E.164."""
    digits = re.sub("[^0-9]", "", plain(text).replace("(0)", ""))
    return _MOBILE.sub("", _DIALLED.sub("", digits))


def words(text: str) -> list[str]:
    """Return a text's words without case and accents, each cut to `MAX_TERM_CHARS`, and its pairs with a colon in front."""
    return [token[:MAX_TERM_CHARS] for token in _tokens(text)]


def terms_of(text: str, *, is_name: bool = False) -> dict[str, None]:
    """Return the distinct terms of a text as the keys of a dict, in their order; only names have common words among them."""
    found = dict.fromkeys(text.translate(_ASCII).split() if text.isascii() else _tokens(text))
    return {token[:MAX_TERM_CHARS]: None for token in found if is_name or token not in _COMMON}


def segments(text: str) -> list[str]:
    """Return all of a text's words without case and accents; a run of characters of a script without spaces is one."""
    if text.isascii():
        return text.translate(_ASCII).split()
    folded = plain(text)
    found = WORD.findall(folded)
    return [one for word in found for one in SEGMENT.findall(word)] if _HAS_UNSPACED.search(folded) else found


def is_unspaced(segment: str) -> bool:
    """Say if a segment is a run of characters of a script without spaces."""
    return _HAS_UNSPACED.match(segment) is not None


def pairs_of(run: str) -> list[str]:
    """Return the terms of a run of two characters or more of a script without spaces."""
    return [PAIR + one + other for one, other in pairwise(run)]


def is_common(word: str) -> bool:
    """Say if nearly every call has a word: it is no term, save in a name."""
    return word in _COMMON


def common_words(beginning: str) -> list[str]:
    """Return the common words that begin so."""
    return sorted(word for word in _COMMON if word.startswith(beginning))


def telephone_digits(text: str) -> str:
    """Return the digits of a text that may be a telephone number as a whole (`digits_of`), otherwise ""."""
    folded = plain(text).strip()
    return digits_of(folded) if NUMBER.fullmatch(folded) else ""


def plain(text: str) -> str:
    """Return a text without case, accents, invisible characters and differences of form."""
    return _VOICED.sub(lambda match: unicodedata.normalize("NFC", match[0]), _IGNORED.sub("", _decomposed(text)))


def _as_number(run: str, mark: str) -> str:
    digits = digits_of(run)
    return f" {mark}{digits} " if len(digits) >= MIN_TYPED else run


def _asked(tokens: list[str]) -> list[Term]:
    asked = [token[:MAX_TERM_CHARS] for token in tokens[:MAX_QUERY_TERMS]]
    if not asked:
        return []
    rare: list[Term] = [word for word in asked[:-1] if word not in _COMMON]
    last = asked[-1]
    if rare and last in _COMMON:
        return rare  # "appointment with": no call has such a word among its own
    return [*rare, last if last[0] == PAIR and len(last) == 3 else re.compile("^" + re.escape(last))]


def _tokens(text: str) -> Iterator[str]:
    if len(text) > _MAX_TEXT_CHARS:
        text = text[:_MAX_TEXT_CHARS]
    if text.isascii():
        yield from text.translate(_ASCII).split()  # a quarter of the time of the expression
        return
    folded = plain(text)
    if not _HAS_UNSPACED.search(folded):
        yield from WORD.findall(folded)
        return
    looked_at = 0
    for word in WORD.findall(folded):
        for segment in SEGMENT.findall(word):
            if not _HAS_UNSPACED.match(segment):
                yield segment
            elif len(segment) == 1:
                yield PAIR + segment
            elif looked_at < _MAX_PAIRS_LOOKED_AT:
                looked_at += len(segment)
                yield from pairs_of(segment)


def _decomposed(text: str) -> str:
    # Twice, for a compatibility caseless match (Unicode, chapter 3.13, D146): 🄐 decomposes to a capital A in brackets.
    once = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKD", once.casefold())
