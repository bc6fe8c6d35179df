"""The clock of a server process, put forward and back from outside while it runs."""

from __future__ import annotations

import struct
from pathlib import Path


class Clock:
    """Give `variables` to a `ServerProcess`, then `jump`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self.jump(0)

    @property
    def variables(self) -> dict[str, str]:
        here = Path(__file__).parent
        return {"PYTHONPATH": f"{here / 'clock'}:{here.parents[1]}", "TEST_CLOCK": str(self._path)}

    def jump(self, offset_s: float) -> None:
        """Let the process's wall clock be off by so many seconds from now on."""
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("d", offset_s))
