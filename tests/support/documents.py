"""The documents as tests read them: a whole file, a section, its tables, its code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    """Return a file of the repository, named from its root."""
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """Return the code of that language in a document, in order."""
    return [code for kind, code in FENCE.findall(text_of(name)) if kind == language]


def section_of(name: str, heading: str) -> str:
    """Return the text under a heading, up to the next one of the same level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text_of(name), re.MULTILINE)
    assert found, f"{name} has no section {heading}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", text_of(name)[found.end() :], flags=re.MULTILINE)[0]


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the tables under a heading, without the tables' heads."""
    part = section_of(name, heading)
    part = re.sub(r"^\|.*\n\| ---.*\n", "", part, flags=re.MULTILINE)
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
