"""The sentences by which a search found a call: who said it, when, and which words to mark. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple, TypedDict

from tether_rt.domain.search_marks import Span, marks_in
from tether_rt.domain.search_query import Phrase, line_of

MAX_HITS: Final = 3
MAX_CHARS: Final = 200
"""Of a hit's text, without the ellipses."""
_CHARS_BEFORE: Final = 60
"""Before the first word that is marked."""
_PIECE_CHARS: Final = 2_048
"""Of a long text, looked at in one step: some 2 ms where hits are marked."""
_SPACE: Final = re.compile(r"\s")


class Turn(NamedTuple):
    """A turn of a transcript."""

    message: str
    role: str | None
    at_s: float | None
    """Seconds into the call."""


class Hit(TypedDict):
    """A sentence that was searched for, from a transcript or, if `index` is None, from the summary.

    `marks` are pairs of where a word begins and ends in `text`, in UTF-16 code units: indexes of a JavaScript string.
    """

    index: int | None
    role: str | None
    atS: float | None
    text: str
    marks: list[list[int]]


class _Piece(NamedTuple):
    """A text, or a part of a long one, and how many of the phrases it has."""

    score: int
    place: int | None
    text: str
    is_first: bool
    is_last: bool


def turn_of(message: Any, role: Any, at_s: Any) -> Turn:
    """Return a turn of stored values; what is no time or role is None."""
    is_time = isinstance(at_s, int | float) and not isinstance(at_s, bool) and math.isfinite(at_s)
    return Turn(message if isinstance(message, str) else "", role if isinstance(role, str) else None, at_s if is_time else None)


def finding_hits(
    turns: Sequence[Turn], summary: str | None, marked: Sequence[Phrase], *, most_chars: int
) -> Generator[None, None, tuple[list[Hit], int]]:
    """Return hits, and how many characters were looked at: at most `most_chars`, and one piece.

    At most `MAX_HITS`, one a turn: those with most of the search first, then in their order, the summary last. Each step takes
    some milliseconds (`cooperative`).
    """
    lines = [phrase.line for phrase in marked]
    best: list[_Piece] = []
    chars = 0
    for place, text in [*((index, turn.message) for index, turn in enumerate(turns)), (None, summary or "")]:
        found: _Piece | None = None
        for at in range(0, len(text), _PIECE_CHARS):
            piece = text[at : at + _PIECE_CHARS]
            line = line_of(piece)
            score = sum(one in line for one in lines)
            if score > (found.score if found else 0):
                found = _Piece(score, place, piece, at == 0, at + _PIECE_CHARS >= len(text))
            chars += len(piece)
            yield
            if chars > most_chars:
                break
        if found is not None:
            best = sorted([*best, found], key=lambda one: -one.score)[:MAX_HITS]
        if chars > most_chars or (len(best) == MAX_HITS and best[-1].score == len(lines)):
            break
    hits: list[Hit] = []
    for one in best:
        hits.append(_hit(one, turns[one.place] if one.place is not None else None, marked))
        yield
    return hits, chars


def _hit(piece: _Piece, turn: Turn | None, marked: Sequence[Phrase]) -> Hit:
    text, marks = _cut(piece, marks_in(piece.text, marked))
    return {
        "index": piece.place,
        "role": turn.role if turn else None,
        "atS": turn.at_s if turn else None,
        "text": text,
        "marks": [[_code_units(text, start), _code_units(text, end)] for start, end in marks],
    }


def _cut(piece: _Piece, marks: list[Span]) -> tuple[str, list[Span]]:
    """Return the part of a piece around its first mark, with ellipses where it was cut, and its marks in that part."""
    text = piece.text
    start = max(0, marks[0][0] - _CHARS_BEFORE)
    end = min(len(text), start + MAX_CHARS)
    if start > 0 and (space := _SPACE.search(text, start, marks[0][0])):
        start = space.end()
    if end < len(text):
        spaces = [space.start() for space in _SPACE.finditer(text, min(marks[0][1], end), end)]
        end = spaces[-1] if spaces else end
    before = "…" if start > 0 or not piece.is_first else ""
    after = "…" if end < len(text) or not piece.is_last else ""
    inside = [(max(one, start), min(other, end)) for one, other in marks if one < end and other > start]
    moved = len(before) - start
    return before + text[start:end] + after, [(one + moved, other + moved) for one, other in inside]


def _code_units(text: str, chars: int) -> int:
    return len(text[:chars].encode("utf-16-le", "surrogatepass")) // 2
