"""Check each Python with the lowest and the highest versions that setup.cfg allows: `python -m tests.compat PYTHON…`.

With `--wheel FILE`, as `make dist` calls it, check that wheel with the versions of constraints.txt.

Each pair has a virtual environment of its own. In it, the wheel is installed and used as a vendor and an agent use it, and the
tests run that hold the undocumented names of Tornado and PyMongo.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.support.s3 import S3Server
from tests.test_wheel import NOT_SOURCE
from tether_rt.mongo.mongod_process import find_binary

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ("pytest", "pytest-asyncio", "pytest-timeout", "aiohttp", "hypothesis")
NAMES_TESTS: Final = ("tests/mongo/wire", "tests/hub/test_wire.py")
AT_ONCE: Final = 2


class Failed(Exception):
    """A step failed; the text is what it printed."""


def lowest() -> str:
    """Return the lower bound of each direct dependency as a file of constraints."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = config["options"]["install_requires"] + config["options.extras_require"]["media"]
    bounds = re.findall(r"^([\w.-]+) *>=([\w.]+)", wanted, re.MULTILINE)
    return "".join(f"{name}=={version}\n" for name, version in bounds)


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    """Run a step; raises `Failed`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TETHER_", "R2_", "MONGODB_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")


def build(folder: Path) -> Path:
    """Build the wheel from a copy, so that nothing is left in the checkout."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check(python: Path, versions: str, folder: Path, wheel: Path, store: S3Server) -> None:
    """Install the wheel for a Python and use it; raises `Failed`."""
    folder.mkdir()
    constraints = folder / "constraints.txt"
    allowed = {"lowest": lowest(), "highest": "", "tested": (ROOT / "constraints.txt").read_text()}
    constraints.write_text(allowed[versions])
    run(python, "-m", "venv", folder / "venv", cwd=folder)
    inside = folder / "venv" / "bin" / "python"
    pip = (inside, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "install", "-c", constraints, f"{wheel}[media]", *TOOLS, cwd=folder)
    run(*pip, "check", cwd=folder)
    mongod = {"TETHER_MONGOD": str(find_binary())}
    r2 = {
        "R2_ENDPOINT_URL": store.endpoint_url,
        "R2_ACCESS_KEY_ID": S3Server.ACCESS_KEY_ID,
        "R2_SECRET_ACCESS_KEY": S3Server.SECRET_ACCESS_KEY,
        "R2_BUCKET": store.create_bucket(),
    }
    run(inside, ROOT / "tests" / "compat" / "use.py", cwd=folder, **mongod, **r2)
    # An old library may warn on a new Python.
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", "--basetemp", folder / "tests")
    run(inside, *pytest, *NAMES_TESTS, cwd=ROOT, PYTHONDONTWRITEBYTECODE="1", **mongod)


def main(pythons: Sequence[str], wheel: Path | None) -> int:
    """Check all pairs, two at a time; the last line is their number, as test runners print it."""
    failures = 0
    store = S3Server()
    store.start()
    with tempfile.TemporaryDirectory(prefix="tether-compat-") as name, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            chosen = ("lowest", "highest") if wheel is None else ("tested",)
            used = wheel.absolute() if wheel is not None else build(Path(name))

            def timed(python: str, versions: str) -> float:
                began_s = time.monotonic()
                check(Path(python), versions, Path(name) / f"{Path(python).name}-{versions}", used, store)
                return time.monotonic() - began_s

            pairs = [(python, versions) for python in pythons for versions in chosen]
            for (python, versions), result in zip(pairs, [pool.submit(timed, *pair) for pair in pairs], strict=True):
                try:
                    outcome = f"passed in {result.result():.0f} s"
                except Failed as failure:
                    failures += 1
                    outcome = f"FAILED: {failure}"
                print(f"{Path(python).name}, {versions} versions: {outcome}", flush=True)  # noqa: T201
        finally:
            store.stop()
    print(f"{len(pairs) - failures} passed, {failures} failed")  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    asked = parser.parse_args()
    sys.exit(main(asked.pythons, asked.wheel))
