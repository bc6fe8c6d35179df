"""The package of `clients/javascript` as npm installs it, and programs of Node.js that use it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.documents import ROOT
from tests.support.processes import running_process

PACKAGE: Final = ROOT / "clients" / "javascript"


def npm(folder: Path, *arguments: str | Path) -> None:
    """Run npm in a folder, without a network."""
    command = [shutil.which("npm") or "npm", *arguments, "--offline", "--no-audit", "--no-fund", "--no-update-notifier"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)


def installed_in(folder: Path) -> Path:
    """Pack the package and install the tarball in an empty folder; return that."""
    npm(PACKAGE, "pack", "--pack-destination", folder)
    (tarball,) = folder.glob("*.tgz")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "package.json").write_text('{"type": "module", "private": true}')
    npm(elsewhere, "install", tarball)
    return elsewhere


@asynccontextmanager
async def node(folder: Path, code: str, *arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program that imports what is installed in `folder`; it is ended with the block if it still runs."""
    path = folder / f"{uuid.uuid4().hex}.mjs"
    path.write_text(code)
    environment = {**os.environ, **variables}
    async with running_process("node", path, *arguments, cwd=folder, env=environment, limit=1 << 24) as process:
        yield process


async def result_of(folder: Path, code: str, given: Any = None, **variables: str) -> Any:
    """Run a program to its end, with `given` as JSON on its standard input, and return the JSON that it printed."""
    async with node(folder, code, **variables) as process:
        out, errors = await process.communicate(json.dumps(given).encode())
    assert (process.returncode, errors.decode()) == (0, "")
    return json.loads(out)
