"""What an answer says of a search that was not, or not wholly, looked for. Pure."""

from __future__ import annotations

from typing import TypedDict

from tether_rt.domain.search_query import SearchQuery


class Notice(TypedDict):
    """A stable code, and a sentence that can be shown."""

    code: str
    message: str


def search_notices(query: SearchQuery) -> list[Notice]:
    """Return what is to be said of a search; nothing, as a rule."""
    notices: list[Notice] = []
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
