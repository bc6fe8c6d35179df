"""What a server reaches over a network, as programs with a set delay: a recording store, and a vendor's host of recordings."""

from __future__ import annotations

import sys
import urllib.request
from contextlib import ExitStack
from typing import Final

from bench.lab import Lab

STORE_MS: Final = 40
"""How long the store takes to answer, as one in another city does."""
HOST_MS: Final = 300
"""How long a vendor's host takes: it has to get the recording from a store of its own first."""
RECORDING_BYTES: Final = 240_000
"""Of a recording by address: a quarter of a minute at 128 kbit/s, a minute at 32."""


class RecordingStore:
    """An S3 store with what a server needs to know of it: `settings` are environment variables, the same for every server."""

    def __init__(self, lab: Lab, scope: ExitStack) -> None:
        child = lab.child(scope, "store", sys.executable, "-m", "bench.programs.store", str(STORE_MS))
        self._url = f"http://127.0.0.1:{child.wait_for(r'listening ([0-9]+)')}"
        self.settings = {
            "R2_ENDPOINT_URL": self._url,
            "R2_ACCESS_KEY_ID": "benchmark",
            "R2_SECRET_ACCESS_KEY": "a secret for benchmarks",
            "R2_BUCKET": "recordings",
        }

    def objects(self) -> int:
        """Return how many objects were put."""
        with urllib.request.urlopen(self._url, timeout=10) as answer:
            return int(answer.read())


def recording_host(lab: Lab, scope: ExitStack, size_bytes: int = RECORDING_BYTES, delay_ms: int = HOST_MS) -> str:
    """Start a host whose every address leads to another MP3 of that size; return it as `address:port`."""
    child = lab.child(scope, "vendor", sys.executable, "-m", "bench.programs.vendor", str(size_bytes), str(delay_ms))
    return "127.0.0.1:" + child.wait_for(r"listening (\d+)")
