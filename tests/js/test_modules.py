"""The dashboard's pure modules, tested by Node's own runner; each `*.test.mjs` is one test here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = sorted(path.name for path in HERE.glob("*.test.mjs"))


@pytest.mark.parametrize("suite", SUITES)
def test_module(suite: str) -> None:
    node = shutil.which("node")
    assert node, "the dashboard's modules are tested with Node.js 18 or newer, which is not on the PATH"
    run = subprocess.run([node, "--test", suite], cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_suites() -> None:
    assert len(SUITES) >= 6
