"""A file that is read while it is still being written."""

from __future__ import annotations

import asyncio
from pathlib import Path


class GrowingFile:
    """A file that will have `size_bytes`, of which the first part is there. Its writer calls `grow`, on the event loop."""

    def __init__(self, path: Path, size_bytes: int, written_bytes: int = 0) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._written_bytes = written_bytes
        self._grown = asyncio.Event()

    def grow(self, size_bytes: int) -> None:
        """Note that so many further bytes are in the file."""
        self._written_bytes += size_bytes
        self._grown.set()

    async def holds(self, size_bytes: int) -> None:
        """Wait until the first `size_bytes` are in the file. A writer that gives up cancels whoever waits."""
        while self._written_bytes < size_bytes:
            self._grown.clear()
            await self._grown.wait()
