"""What the peers need, installed where git does not look: a virtual environment in bench/.cache, and node_modules."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from bench.contestants import NODE, PYTHON
from bench.lab import CACHE
from bench.process import BenchError


def install() -> Path:
    """Install what is missing or out of date; return the Python of the peers. Raises `BenchError` when that fails."""
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / "venv"
    python = folder / "bin" / "python"
    requirements = PYTHON / "requirements.txt"
    stamp = CACHE / "python.stamp"
    if not _is_current(stamp, requirements) or not python.exists():
        print("Installing the Python peers", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        _run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "-r", requirements)
        _mark(stamp, requirements)
    lock = NODE / "package-lock.json"
    stamp = CACHE / "node.stamp"
    if not _is_current(stamp, lock) or not (NODE / "node_modules").is_dir():
        if shutil.which("npm") is None:
            raise BenchError("Please install npm: it fetches the Node peers.")
        print("Installing the Node peers", flush=True)
        _run("npm", "ci", "--prefix", NODE, "--loglevel=error")
        _mark(stamp, lock)
    return python


def _is_current(stamp: Path, source: Path) -> bool:
    return stamp.exists() and stamp.read_text() == _digest(source)


def _mark(stamp: Path, source: Path) -> None:
    stamp.write_text(_digest(source))


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes() + sys.version.encode()).hexdigest()


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
