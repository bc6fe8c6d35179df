"""Names as they are stored and compared, and which of two names a contact keeps. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tether_rt.domain.party import WITHHELD_WORDS, is_sip

_SPACES: Final = re.compile("[\\s\0-\x1f\x7f-\x9f\u115f\u1160\u2800\u3164\uffa0]+")
"""White space, control characters, and what is drawn as white space: fillers of Hangul, Braille without dots."""
_INVISIBLE_MARKS: Final = frozenset("\u034f\u17b4\u17b5")
_JOINERS: Final = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and JOINER. They mean something in scripts that join their letters, and in emoji."""
_MORE_JOINERS: Final = re.compile(f"([{_JOINERS}])[{_JOINERS}]+")
_LOOSE_JOINERS: Final = re.compile(f"(?<![\u0600-\U0010ffff])[{_JOINERS}]|[{_JOINERS}](?![\u0600-\U0010ffff])")
_UNSEEN: Final = frozenset(("Mn", "Me", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs"))

_NOBODY: Final = WITHHELD_WORDS | {
    *("unknown caller", "unknown name", "name unavailable", "not available", "no name", "out of area"),
    *("private caller", "private number", "no caller id"),
}
"""What a telephone shows in place of a name, which is as good as none."""
_MADE_UP: Final = frozenset(
    "wireless caller|wireless call|wireless|cell phone|cellphone|cellular call|cellular caller|mobile caller|mobile phone|"
    "mobile number|toll free|toll free call|toll free caller|toll free number|pay phone|payphone|incoming call|voip caller|"
    "voip call|unassigned|unassigned number|spam|spam risk|spam likely|scam|scam likely|telemarketer|telemarketing".split("|")
)
"""What carriers put in place of a name. It says something of the line, so it stays until somebody's name comes."""


def plain_name(text: str | None) -> str | None:
    """Return a name as it is stored: in NFC, without characters that show nothing or turn the direction of writing, with one
    space between words and none at the ends; None if nothing is left to see."""
    if text is None:
        return None
    if text.isascii() and text.isprintable():
        return " ".join(text.split()) or None
    spaced = _SPACES.sub(" ", text)
    shown = "".join(
        one for one in spaced if one in _JOINERS or not (unicodedata.category(one) == "Cf" or one in _INVISIBLE_MARKS)
    )
    joined = _LOOSE_JOINERS.sub("", _MORE_JOINERS.sub(r"\1", shown))
    if all(unicodedata.category(one) in _UNSEEN for one in joined):
        return None
    return unicodedata.normalize("NFC", " ".join(joined.split()))


def better_name(known: str, offered: str | None) -> str:
    """Return the name of a contact called `known` after a call with the `callerName` `offered`.

    Somebody's name takes the place of one that a carrier or a telephone made up, and either that of none. Else the first stays.
    """
    if offered is None or offered == known or _rank(offered) <= _rank(known):
        return known
    return offered


def _rank(name: str) -> int:
    folded = name.casefold()
    if folded in _NOBODY:
        return 0
    has_only_digits = any(map(str.isdigit, name)) and not any(map(str.isalpha, name))
    return 1 if has_only_digits or folded in _MADE_UP or is_sip(name) else 2
