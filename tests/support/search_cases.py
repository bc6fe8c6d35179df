"""The cases of `tests/search_cases.json`, which the server's tests, the dashboard's own and those in a browser share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

from tests.support.service import Tenant, missed


class SearchCase(TypedDict):
    """What a call says and which numbers it may have; searches that find it, and searches that do not."""

    about: str
    texts: list[str]
    numbers: list[str]
    finds: list[str]
    misses: list[str]
    names: NotRequired[list[str]]
    agentName: NotRequired[str]
    externalCallId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


_CASES: Final[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "search_cases.json").read_text("utf-8"))
CASES: Final[list[SearchCase]] = _CASES["calls"]
NOTHING: Final[list[str]] = _CASES["nothing"]
"""Searches without anything that is searched."""
LANGUAGE: Final[list[SearchCase]] = _CASES["language"]
"""Cases of phrases, exclusions, fields and ids (`domain/search_query.py`)."""
LANGUAGE_NOTHING: Final[list[str]] = _CASES["languageNothing"]


async def post_case(tenant: Tenant, case: SearchCase) -> list[str]:
    """Post a call for each number of a case, at least one, and return their ids."""
    ids: list[str] = []
    for number in case["numbers"] or ["anonymous"]:
        answer = await tenant.post_call(
            missed(
                fromNumber=number,
                summary="; ".join(case["texts"]) or ...,
                callerName=case["names"][0] if "names" in case else ...,
                agentName=case.get("agentName", ...),
                externalCallId=case.get("externalCallId", ...),
                metadata=case.get("metadata", ...),
            )
        )
        assert answer.status == 201, answer.body
        ids.append(answer.body["callId"])
    return ids
