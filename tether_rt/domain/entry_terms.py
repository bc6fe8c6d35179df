"""The terms of an entry in the search index: everything that a call, or a contact, is found by. Pure.

Words and pairs of characters are those of `search_terms`. Very frequent words are left out of what was said, but never of
names.
A field has its name in front (`=agent=rosa`) and an id signs (`==crm-4711`), so that neither is taken for a word.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

from tether_rt.domain.call_match import CallTexts, metadata_values
from tether_rt.domain.party import WITHHELD, is_number
from tether_rt.domain.search_query import AGENT
from tether_rt.domain.search_terms import MIN_PART, PART, plain, terms_of
from tether_rt.runtime.cooperative import run_to_completion

MAX_CHARS: Final = 500_000
"""What is searched of a call's texts: three hours have 200,000 at most. More terms would not fit into an entry of 16 MB."""
MAX_ID_CHARS: Final = 256
_PIECE_CHARS: Final = 4_096
"""Text that is looked at in one step: a millisecond."""


def making_terms(
    *,
    texts: Iterable[str | None],
    names: Iterable[str | None],
    numbers: Iterable[str],
    fields: Iterable[tuple[str, str]] = (),
    ids: Iterable[str] = (),
) -> Generator[None, None, list[str]]:
    """Return the distinct terms of a call, one piece of text a step (`cooperative`).

    `numbers` are in E.164, `fields` pairs of a name and a value, `ids` those by which a call is found as a whole.
    """
    terms: dict[str, None] = {}
    for number in numbers:
        digits = number.lstrip("+")
        terms.update((PART + digits[at:], None) for at in range(max(1, len(digits) - MIN_PART + 1)))
    terms.update((id_term(one), None) for one in ids)
    for name in filter(None, names):
        terms |= terms_of(name, is_name=True)
    for name, value in fields:
        terms |= terms_of(value)
        terms.update((field_term(name, word), None) for word in terms_of(value, is_name=True))
        yield
    for piece in pieces(texts, MAX_CHARS):
        terms |= terms_of(piece)
        yield
    return list(terms)


def making_call_terms(call: CallTexts) -> Generator[None, None, list[str]]:
    """Return the terms of a call as `making_terms` does."""
    return making_terms(
        texts=call.texts,
        names=(*call.names, call.agent_name),
        numbers=call.numbers,
        fields=[(AGENT, call.agent_name or ""), *metadata_values(call.metadata)],
        ids=[one for one in call.ids[1:] if one is not None],  # the first one is the entry's own
    )


def contact_terms(name: str, number: str | None) -> list[str]:
    """Return the terms of a contact: of its name, and of its number, its SIP address or the word for a withheld number."""
    address = number or WITHHELD
    is_other = not is_number(address)
    names, numbers = ((name, address), ()) if is_other else ((name,), (address,))
    return run_to_completion(making_terms(texts=(), names=names, numbers=numbers))


def field_term(name: str, word: str) -> str:
    """Return the term of a word in a field."""
    return f"={plain(name)}={word}"


def id_term(whole: str) -> str:
    """Return the term of an id, which is compared as a whole and with its case."""
    return f"=={whole[:MAX_ID_CHARS]}"


def pieces(texts: Iterable[str | None], most_chars: int) -> Iterator[str]:
    """Yield the texts, up to a number of characters, in pieces: short ones together, long ones cut at spaces.

    Where a script has no spaces, a piece begins with the last character of the one before, so that no pair is lost.
    """
    lines: list[str] = []
    chars = 0
    for text in filter(None, texts):
        lines.append(text[:most_chars])
        chars += len(lines[-1]) + 1
        most_chars -= len(lines[-1])
        if chars > _PIECE_CHARS:
            yield from _cut("\n".join(lines))
            lines, chars = [], 0
        if most_chars <= 0:
            break
    yield from _cut("\n".join(lines))


def _cut(text: str) -> Iterator[str]:
    at = 0
    while len(text) - at > _PIECE_CHARS:
        end = max(text.rfind(space, at + 1, at + _PIECE_CHARS) for space in " \n")
        if end < 0:
            yield text[at : at + _PIECE_CHARS]
            at += _PIECE_CHARS - 1
        else:
            yield text[at:end]
            at = end
    yield text[at:]
