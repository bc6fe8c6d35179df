"""Where the words of a search stand in a text, as it was written. Pure; `static/js/search/marks.js` has the same rules."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tether_rt.domain.search_query import Phrase, line_of
from tether_rt.domain.search_terms import CLUSTER, SEGMENT, WORD, is_unspaced, plain

Span = tuple[int, int]
"""Where something begins and ends in a text, in characters."""


def marks_in(text: str, marked: Iterable[Phrase]) -> list[Span]:
    """Return where a text has one of the phrases, in ascending order, without overlaps.

    A word is marked to its end, also if only its beginning was typed.
    """
    line = line_of(text)
    wanted = [phrase.line for phrase in marked if phrase.line in line]
    if not wanted:
        return []
    places = _places(text)
    spans: list[Span] = []
    for one in wanted:
        word_from, word_to = len(one) - len(one.lstrip()), len(one.rstrip())
        at = line.find(one)
        while at >= 0:
            spans.append((places[at + word_from][0], places[at + word_to - 1][1]))
            at = line.find(one, at + word_to)
    return _joined(sorted(spans))


def _places(text: str) -> list[Span]:
    """Return for each character of the `line_of` a text which part of the text is marked for it: a word, or a character."""
    folded: list[str] = []
    origins: list[Span] = []
    for cluster in CLUSTER.finditer(text):
        piece = _plain_cluster(cluster[0])
        folded.append(piece)
        origins += [cluster.span()] * len(piece)
    whole = "".join(folded)
    places: list[Span] = [(0, 0)]
    for word in WORD.finditer(whole):
        for segment in SEGMENT.finditer(word[0]):
            at, end = word.start() + segment.start(), word.start() + segment.end()
            if is_unspaced(segment[0]):
                places += origins[at:end]
            else:
                places += [(origins[at][0], origins[end - 1][1])] * (end - at)
            places.append((0, 0))
    return places


@lru_cache(maxsize=4_096)
def _plain_cluster(cluster: str) -> str:
    return plain(cluster)


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
