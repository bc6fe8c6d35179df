"""The documents as tests read them: whole, or the code that stands in them."""

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
