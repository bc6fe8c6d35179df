"""What an answer says of a search that was not, or not wholly, looked for. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypedDict

from tether_rt.domain.search_query import SearchQuery

Shortfall = Literal["index_building", "partly_read"]
"""Why a search may not have found all calls."""

_SHORTFALLS: dict[Shortfall, str] = {
    "index_building": "The search index is being built: older calls are not all found yet.",
    "partly_read": "Only the newest calls with these words were looked at; more words, or a span of time, find older ones.",
}


class Notice(TypedDict):
    """A stable code, and a sentence that can be shown."""

    code: str
    message: str


def search_notices(query: SearchQuery, shortfalls: Collection[Shortfall] = ()) -> list[Notice]:
    """Return what is to be said of a search; nothing, as a rule."""
    notices: list[Notice] = [{"code": code, "message": _SHORTFALLS[code]} for code in shortfalls]
    if query.is_nothing and query.excluded:
        notices.append({"code": "only_exclusions", "message": "Nothing to search for: only what to leave out is given."})
    elif query.is_nothing:
        notices.append({"code": "nothing_to_search", "message": "Nothing to search for: only letters and digits are searched."})
    if query.ignored:
        notices.append({"code": "words_ignored", "message": f"Not searched for: {', '.join(query.ignored)}"})
    if query.common:
        said = "Nearly every call has these words, so only names with them are found; put them in quotes to find what was said."
        notices.append({"code": "common_words", "message": said})
    return notices
