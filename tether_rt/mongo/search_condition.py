"""A search as a condition of MongoDB for documents with `terms`: entries of calls, and contacts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bson import Regex

from tether_rt.domain.entry_terms import field_term, id_term
from tether_rt.domain.search_query import AGENT, ID, Field, Phrase, SearchQuery
from tether_rt.domain.search_terms import Term, is_common, is_unspaced
from tether_rt.mongo.client import Document


def condition(query: SearchQuery) -> Document:
    """Return the condition for the entries that match, or of which some match where calls must be read (`is_exact`)."""
    required = [_required(one) for one in query.required]
    excluded = [_required(one) for one in query.excluded if _decided_by_terms(one)]
    readings = [_all_of(reading) for reading in query.readings]
    conditions = [*required, _any_of(readings)] if readings else required
    found = both(*conditions)
    if excluded:
        found = {"$and": [found, {"$nor": excluded}]}
    if query.pasted_id is not None:
        found = _any_of([found, *_with_id(query.pasted_id)])
    return found


def _required(condition: Phrase | Field) -> Document:
    if isinstance(condition, Phrase):
        return _all_of(condition.terms)
    if condition.name == ID:
        return _any_of(_with_id(condition.raw))
    value = condition.value
    terms: list[Term] = [field_term(condition.name, word) for word in value.words]
    if value.is_open:
        terms[-1] = re.compile("^" + re.escape(str(terms[-1])))
    as_field = _all_of(terms)
    return as_field if condition.said is None else _any_of([as_field, _all_of(condition.said.terms)])


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
    """Return the condition that all terms match, without the patterns' flags: with one, MongoDB reads the whole index."""
    asked = [Regex(term.pattern) if isinstance(term, re.Pattern) else term for term in terms]
    return {"terms": {"$all": asked}} if asked else {}


def _any_of(conditions: list[Document]) -> Document:
    return conditions[0] if len(conditions) == 1 else {"$or": conditions}


def both(*conditions: Document | None) -> Document:
    """Return the condition that all of these hold; those that are None or empty always do."""
    given = [one for one in conditions if one]
    return given[0] if len(given) == 1 else {"$and": given}
