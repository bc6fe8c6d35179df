"""A search as a condition of MongoDB for documents with `terms`: entries of calls, and contacts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bson import Regex

from tether_rt.domain.entry_terms import field_term, id_term
from tether_rt.domain.search_query import AGENT, ID, Field, Phrase, SearchQuery
from tether_rt.domain.search_terms import MAX_TERM_CHARS, PAIR, Term, is_common, is_unspaced, pairs_of
from tether_rt.mongo.client import Document


def condition(query: SearchQuery) -> Document:
    """Return the condition for the entries that match, or of which some match where calls must be read (`is_exact`)."""
    found = both(
        _any_of([_all_of(terms) for terms in _alternatives(query)]),
        *(_required(one) for one in query.required if not _is_plain(one)),
    )
    if excluded := [_required(one) for one in query.excluded if _decided_by_terms(one)]:
        found = {"$and": [found, {"$nor": excluded}]}
    if query.pasted_id is not None:
        found = _any_of([found, *_with_id(query.pasted_id)])
    return found


def compared_terms(query: SearchQuery) -> list[Term]:
    """Return the terms of which `rare_condition` needs to know how frequent they are."""
    return list(dict.fromkeys(term for terms in _alternatives(query) for term in terms))


def rare_condition(query: SearchQuery, counts: Mapping[Term, int], most: int) -> Document | None:
    """Return a condition that holds for all entries that match, and that MongoDB looks up in its index; None if there is none.

    It asks for the rarest of several terms alone, of which fewer than `most` entries have it by `counts`. MongoDB itself takes
    whole words before beginnings of words, and the first before the second, however many entries have them.
    """
    rarest = [min(terms, key=lambda term: counts[term], default=None) for terms in _alternatives(query)]
    if any(term is None or counts[term] >= most for term in rarest):
        return None
    looked_up = [term_condition(term) for term in dict.fromkeys(rarest) if term is not None]
    return _any_of([*looked_up, *(_with_id(query.pasted_id) if query.pasted_id is not None else ())])


def term_condition(term: Term) -> Document:
    """Return the condition that a term matches."""
    return {"terms": _asked(term)}


def _alternatives(query: SearchQuery) -> list[list[Term]]:
    """Return lists of terms: an entry that matches has all of one list."""
    plain = [term for one in query.required if _is_plain(one) for term in _terms_of(one)]
    return [list(dict.fromkeys([*reading, *plain])) for reading in query.readings or ((),)]


def _is_plain(condition: Phrase | Field) -> bool:
    """Say if a condition is a list of terms."""
    return isinstance(condition, Phrase) or condition.name == AGENT


def _required(condition: Phrase | Field) -> Document:
    if isinstance(condition, Field) and condition.name == ID:
        return _any_of(_with_id(condition.raw))
    as_terms = _all_of(_terms_of(condition))
    said = condition.said if isinstance(condition, Field) else None
    return as_terms if said is None else _any_of([as_terms, _all_of(said.terms)])


def _terms_of(condition: Phrase | Field) -> list[Term]:
    if isinstance(condition, Phrase):
        return list(condition.terms)
    terms: list[Term] = []
    name, words = condition.name, condition.value.words
    for at, word in enumerate(words):
        if is_unspaced(word) and len(word) > 1:
            terms += [field_term(name, pair) for pair in pairs_of(word)]
        elif is_unspaced(word):
            terms.append(re.compile("^" + re.escape(field_term(name, PAIR + word))))
        elif condition.value.is_open and at == len(words) - 1:
            terms.append(re.compile("^" + re.escape(field_term(name, word[:MAX_TERM_CHARS]))))
        else:
            terms.append(field_term(name, word[:MAX_TERM_CHARS]))
    return terms


def is_exact(query: SearchQuery) -> bool:
    """Say if terms alone decide."""
    return all(_decided_by_terms(one) for one in (*query.required, *query.excluded))


def _decided_by_terms(condition: Phrase | Field) -> bool:
    if isinstance(condition, Field):
        return condition.name == ID or (
            condition.name == AGENT and len(condition.value.words) == 1 and _is_term(condition.value)
        )
    is_rare = not condition.is_open and not condition.digits and not is_common(condition.words[0])
    return len(condition.words) == 1 and is_rare and _is_term(condition)


def _is_term(phrase: Phrase) -> bool:
    return not is_unspaced(phrase.words[0]) or len(phrase.words[0]) == 2


def _with_id(whole: str) -> list[Document]:
    return [{"_id": whole}, {"terms": id_term(whole)}]


def _all_of(terms: Iterable[Term]) -> Document:
    asked = [_asked(term) for term in terms]
    return {"terms": {"$all": asked}} if asked else {}


def _asked(term: Term) -> Any:
    """Return a term without a pattern's flags: with one, MongoDB reads the whole index."""
    return Regex(term.pattern) if isinstance(term, re.Pattern) else term


def _any_of(conditions: list[Document]) -> Document:
    return conditions[0] if len(conditions) == 1 else {"$or": conditions}


def both(*conditions: Document | None) -> Document:
    """Return the condition that all of these hold; those that are None or empty always do."""
    given = [one for one in conditions if one]
    if len(given) > 1:
        return {"$and": given}
    return given[0] if given else {}
