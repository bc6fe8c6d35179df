from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    ".tools",
    ".venv*",
    "venv",
    "var",
    "build",
    "dist",
    "node_modules",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    ".coverage*",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    wheels = tmp_path_factory.mktemp("wheels")
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True, timeout=300)
    (built,) = wheels.glob("tether_rt-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment."""
    return environment_with(wheel, tmp_path_factory.mktemp("environment"))


def environment_with(wheel: Path, folder: Path) -> Path:
    """Make an environment that has the wheel, and the dependencies of the tests' own; return its folder of commands."""
    venv.create(folder, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # Dependencies only: an editable install of the checkout there is a .pth file, and those are not followed from here.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [*PIP, "--python", str(folder / "bin/python")]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--ignore-installed", wheel], check=True, timeout=120)
    return folder / "bin"


@pytest.fixture(scope="module")
def served(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `tether-rt serve`, run outside the checkout with nothing but what the wheel brought."""
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TETHER_", "R2_", "MONGODB_", "PYTHON"))
    }
    process = subprocess.Popen(
        [installed / "tether-rt", "serve", "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        line: dict[str, str] = {}
        while line.get("event") != "listening":
            text = process.stderr.readline()
            assert text, "it ended before it listened"
            line = json.loads(text)
        yield line["url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def fetch(address: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_it_holds_what_is_served_and_nothing_that_only_builds_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    served = {path.relative_to(ROOT / "static").as_posix() for path in (ROOT / "static").rglob("*") if path.is_file()}
    tools = {name for name in served if name.startswith("node_modules/")}
    tools |= {".npmrc", "package.json", "package-lock.json", "vendor.mjs"}
    assert {name.removeprefix("tether_rt/static/") for name in names if name.startswith("tether_rt/static/")} == served - tools
    assert any(name.startswith("tether_rt/static/vendor/") for name in names)
    assert {"tether_rt/schemas/openapi.yaml", "tether_rt/schemas/asyncapi.yaml", "tether_rt/py.typed"} <= names
    assert {"tether_rt/demo/samples/appointment.mp3", "tether_rt/demo/samples/busy.json"} <= names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tether_rt").rglob("*.py")}
    assert modules <= names
    assert {"tether_rt/client/__init__.py", "tether_rt/client/feed.py"} <= names
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


def test_outside_the_checkout_it_serves_the_dashboard_and_the_contract(served: str, installed: Path) -> None:
    where = subprocess.run(
        [installed / "python", "-c", "import tether_rt; print(tether_rt.__file__)"],
        cwd="/", env={}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)

    kind, page = fetch(served + "/")
    assert kind.startswith("text/html")
    (version,) = set(re.findall(rb'="static/([0-9a-f]{20})/', page))
    assert page.replace(b"static/" + version, b"static") == (ROOT / "static/index.html").read_bytes()
    for script in ("js/main.js", "vendor/preact.js"):
        kind, body = fetch(f"{served}/static/{version.decode()}/{script}")
        assert kind.startswith("text/javascript")
        assert body == (ROOT / "static" / script).read_bytes()
    kind, document = fetch(served + "/openapi.json")
    assert "/api/calls/ingest" in json.loads(document)["paths"]
    kind, page = fetch(served + "/docs")
    assert kind.startswith("text/html")


def test_the_version_is_told(installed: Path) -> None:
    done = subprocess.run(
        [installed / "tether-rt", "--version"], cwd="/", capture_output=True, text=True, check=True, timeout=60
    )
    (newest, *_) = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert done.stdout == f"tether-rt, version {newest}\n", "the version is the newest of the changelog"


def test_the_source_distribution_makes_the_same_wheel_without_node(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    make = [sys.executable, "-c", f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"]
    subprocess.run(make, cwd=source, check=True, timeout=300, stdout=subprocess.DEVNULL)
    (made,) = tmp_path.glob("tether_rt-*.tar.gz")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "static/vendor/preact.js"} <= names
    assert not [name for name in names if name.startswith(("tests", "bench", "static/node_modules"))]
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(made)]
    subprocess.run(command, env={**os.environ, "PATH": str(tmp_path)}, check=True, timeout=300)
    (again,) = tmp_path.glob("tether_rt-*.whl")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_without_the_libraries_and_without_node_the_build_says_what_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    shutil.rmtree(source / "static/vendor")
    done = subprocess.run(
        [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode != 0
    assert "install Node.js 18 or newer, then build again." in done.stdout + done.stderr
