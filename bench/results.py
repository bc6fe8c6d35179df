"""What was measured: samples under a key, their median and spread, targets, and the two forms in which it is kept.

`bench/results/<scenario>.json` has everything; `bench/results/README.md` is made of all of them, so a run of one scenario
leaves the others' results standing.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from tether_rt.mongo.mongod_process import find_binary

FOLDER: Final = Path(__file__).parent / "results"
SCENARIOS: Final = (
    "store", "addresses", "later", "flooding", "processes", "search",
    "ingest", "fanout", "latency", "memory", "growth", "start", "browser",
)  # fmt: skip
"""In the order of the page: first the shapes in which the server is used."""
_PACKAGES: Final = ("tornado", "motor", "pymongo", "uvloop", "orjson", "jsonschema-rs")

Key = tuple[str | int, ...]


class Table:
    """Samples by key and column. `columns` maps a column's name to the number of digits it is shown with."""

    def __init__(self, title: str, keys: tuple[str, ...], columns: dict[str, int]) -> None:
        self.title = title
        self.keys = keys
        self.columns = columns
        self.samples: dict[Key, dict[str, list[float]]] = {}

    def add(self, *key: str | int, **values: float) -> None:
        """Keep one sample; columns are named by keyword, with `_` for a space."""
        row = self.samples.setdefault(key, {})
        for name, value in values.items():
            row.setdefault(name, []).append(value)

    def get(self, *key: str | int, column: str) -> float:
        """Return a column's median; raises `KeyError` when nothing was measured."""
        return median(self.samples[key][column])

    def describe(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        rows = [
            {
                **dict(zip(self.keys, key, strict=True)),
                **{
                    name: {"median": median(values), "min": min(values), "max": max(values), "samples": values}
                    for name, values in row.items()
                },
            }
            for key, row in self.samples.items()
        ]
        return {"title": self.title, "keys": self.keys, "columns": self.columns, "rows": rows}


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the targets: a ratio or a figure, and whether it is reached."""

    what: str
    wanted: str
    measured: float
    met: bool

    @classmethod
    def at_least(cls, what: str, limit: float, measured: float, unit: str = "×") -> Goal:
        """Reached by `measured` ≥ `limit`."""
        return cls(what, f"≥ {limit:g} {unit}", measured, measured >= limit)

    @classmethod
    def at_most(cls, what: str, limit: float, measured: float, unit: str = "×") -> Goal:
        """Reached by `measured` ≤ `limit`."""
        return cls(what, f"≤ {limit:g} {unit}", measured, measured <= limit)


@dataclass(slots=True)
class Report:
    """What a scenario found."""

    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, scale: str) -> dict[str, Any]:
        """Write the scenario's file and return what it holds."""
        content = {
            "scenario": self.name,
            "title": self.title,
            "scale": scale,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "goals": [{"what": g.what, "wanted": g.wanted, "measured": g.measured, "met": g.met} for g in self.goals],
            "notes": self.notes,
            "tables": [table.describe() for table in self.tables],
        }
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{self.name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return content


def machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, kernel, versions."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    described: dict[str, str] = {
        "processor": f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "Node": _first_line("node", "--version").lstrip("v"),
        "MongoDB": _first_line(find_binary(), "--version").removeprefix("db version v"),
    }
    described.update((name, importlib.metadata.version(name)) for name in _PACKAGES)
    return described


def _first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0].strip()


def write_readme() -> None:
    """Make the page of all results that are there."""
    found = [json.loads((FOLDER / f"{name}.json").read_text()) for name in SCENARIOS if (FOLDER / f"{name}.json").exists()]
    lines = [
        "# Results",
        "",
        "Made by `make bench`; do not edit. Medians, with the lowest and the highest sample in brackets. All parts and the",
        "load share one machine, so ratios carry over and absolute figures do not.",
        "",
        "## Targets",
        "",
        "| what | target | measured | |",
        "| --- | --- | --- | --- |",
    ]
    for content in found:
        for goal in content["goals"]:
            met = "reached" if goal["met"] else "**missed**"
            lines.append(f"| {goal['what']} | {goal['wanted']} | {_number(goal['measured'], 2)} | {met} |")
    for content in found:
        lines += ["", *markdown(content)]
    (FOLDER / "README.md").write_text("\n".join(lines) + "\n")


def markdown(content: dict[str, Any]) -> list[str]:
    """Return a scenario's content as lines of Markdown."""
    machine_text = ", ".join(f"{name} {value}" for name, value in content["machine"].items())
    lines = [f"## {content['title']}", "", f"{content['at']}, scale {content['scale']}; {machine_text}.", ""]
    lines += [f"- {note}" for note in content["notes"]] + ([""] if content["notes"] else [])
    for table in content["tables"]:
        names = [*table["keys"], *(name.replace("_", " ") for name in table["columns"])]
        lines += [f"**{table['title']}**", "", _row(names), _row(["---"] * len(names))]
        for row in table["rows"]:
            cells = [_cell(row.get(name), digits) for name, digits in table["columns"].items()]
            lines.append(_row([*(str(row[key]) for key in table["keys"]), *cells]))
        lines.append("")
    return lines[:-1]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: dict[str, Any] | None, digits: int) -> str:
    if value is None:
        return ""
    text = _number(value["median"], digits)
    spread = f" ({_number(value['min'], digits)}..{_number(value['max'], digits)})" if len(value["samples"]) > 1 else ""
    return text + spread


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"
