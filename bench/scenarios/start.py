"""Start: from `python run.py` to the first 201, in a new data directory and in one that was used before."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from bench.lab import ROOT, Lab
from bench.process import memory_bytes
from bench.results import Report, Table
from bench.scale import Scale

_KEY: Final = r"API key +(tk_live_\S+)"
_URL: Final = r"Dashboard +(http://\S+?)/"


def run(lab: Lab, scale: Scale) -> Report:
    table = Table("From `python run.py`", ("data directory",), {"s to the first 201": 2, "MB resident then": 0})
    for _ in range(scale.repeats):
        folder = lab.new_folder("demo")
        _measure(lab, table, "new", folder)
        _measure(lab, table, "used before", folder)
    return Report("start", "Start", [table])


def _measure(lab: Lab, table: Table, what: str, folder: Path) -> None:
    with lab.scope() as scope:
        began_s = time.monotonic()
        child = lab.child(scope, "run", sys.executable, ROOT / "run.py", "--port", "0", "--data-dir", folder)
        key = child.wait_for(_KEY)
        found = re.search(_URL, child.log.read_text())
        assert found is not None
        call: dict[str, Any] = json.loads((folder / "sample-call.json").read_text())
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{found[1]}/api/calls/ingest", json.dumps(call).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 201
        seconds = time.monotonic() - began_s
        table.add(what, **{"s to the first 201": seconds, "MB resident then": memory_bytes(child.pid) / (1 << 20)})
