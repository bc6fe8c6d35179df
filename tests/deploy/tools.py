"""The programs that check what is under `deploy/`: of the virtual environment, of `make tools`, or of this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.documents import ROOT

DEPLOY: Final = ROOT / "deploy"
_PLACES: Final = (Path(sys.executable).parent, ROOT / ".tools" / "prometheus" / "usr" / "bin")


def tool(name: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name, path=":".join(map(str, _PLACES))) or shutil.which(name)
    assert found, f"{name} is not installed: run `make tools`"
    return found


def passes(name: str, *arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run a program, require that it finds nothing wrong, and return all that it printed."""
    done = subprocess.run(
        [tool(name), *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(*patterns: str) -> list[Path]:
    """Return the files under `deploy/` that match one of the patterns, all of which match something."""
    found = [sorted(DEPLOY.glob(pattern)) for pattern in patterns]
    assert all(found), patterns
    return [path for some in found for path in some]
