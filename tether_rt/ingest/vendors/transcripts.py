"""Makes turns of a transcript of what vendors send of it: entries, words, calls of tools, a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tether_rt.domain.masking import masked
from tether_rt.ingest.vendors.reading import Payload, known, number, text

MAX_TOOL_CALLS: Final = 100
"""Of one turn; later ones are in the kept payload alone."""
_TURNS_BACK: Final = 3
"""So many turns back, a result finds the call of its tool."""
_AGENTS: Final = frozenset(("agent", "assistant", "bot", "ai", "transfer_target"))
_USERS: Final = frozenset(("user", "customer", "human", "caller"))
_SCRIPT_LINE: Final = re.compile(r"\s*([\w ]{1,40}?)\s*:(.*)")


def role(value: Any) -> str | None:
    """Return `agent` or `user` for a vendor's word of who spoke, None for what makes no turn."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return "agent" if word in _AGENTS else "user" if word in _USERS else None


def turn(speaker: str, message: str, at_s: float | None = None, **extra: Any) -> dict[str, Any]:
    """Return a turn of a transcript; what is in `extra` and not empty is kept beside it under that name.

    Its secrets are masked, but in `words`, which were said like the message (`spoken_words`).
    """
    kept = {key: value if key == "words" else masked(value) for key, value in extra.items() if value not in (None, [], {}, "")}
    timed = {"timestamp": at_s} if at_s is not None and at_s >= 0 else {}
    return {"role": speaker, "message": message, **timed, **({"extra": kept} if kept else {})}


def spoken_words(value: Any) -> list[dict[str, Any]]:
    """Return the words of a turn as `{word, start, end}` in seconds; what is no word with a beginning is left out."""
    found = [
        {"word": item.get("word"), "start": number(item.get("start")), "end": number(item.get("end"))}
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, Mapping)
    ]
    return [known(**word) for word in found if text(word["word"]) is not None and word["start"] is not None]


def turns(
    payload: Payload, path: str, read: Callable[[Mapping[str, Any], list[dict[str, Any]]], dict[str, Any] | None]
) -> list[dict[str, Any]] | None:
    """Return what `read` makes of each entry of the array at a path, given the turns so far; None where there is no turn."""
    found: list[dict[str, Any]] = []
    silent = 0
    for _, item in payload.items(path):
        one = read(item, found)
        if one is None:
            silent += 1
        else:
            found.append(one)
    if silent:
        payload.left_out(path, f"{silent} of its entries hold nothing that was said", "transcript")
    if found:
        payload.said("transcript", f"{len(found)} turns", path)
    return found or None


def add_tool_call(before: Sequence[dict[str, Any]], call: Any) -> None:
    """Add a call of a tool to the last of these turns, its secrets masked."""
    if before and isinstance(call, Mapping):
        calls = before[-1].setdefault("extra", {}).setdefault("toolCalls", [])
        if len(calls) < MAX_TOOL_CALLS:
            calls.append(masked(dict(call)))


def add_tool_result(before: Sequence[dict[str, Any]], id_field: str, result: Any) -> None:
    """Add what a tool returned as `result` to its call, which has the same id, in one of the last of these turns."""
    if not isinstance(result, Mapping):
        return
    for said in reversed(before[-_TURNS_BACK:]):
        for call in said.get("extra", {}).get("toolCalls", ()):
            if call.get(id_field) == result.get(id_field) and "result" not in call:
                call["result"] = masked(dict(result))
                return


def turns_of_text(script: str, line_of_turn: re.Pattern[str] = _SCRIPT_LINE) -> list[dict[str, Any]]:
    """Return the turns of a transcript that is one text with lines such as `Agent: Hello.`; other lines go on with the last.

    `line_of_turn` matches a line that begins a turn, with groups for who spoke and what was said.
    """
    found: list[dict[str, Any]] = []
    for line in script.splitlines():
        begins = line_of_turn.fullmatch(line)
        speaker = role(begins[1]) if begins is not None else None
        if begins is not None and speaker is not None:
            found.append(turn(speaker, begins[2].strip()))
        elif found and line.strip():
            found[-1]["message"] += f"\n{line.strip()}"
    return [one for one in found if one["message"].strip()]
