"""What docs/releasing.md asks for: version, changelog, tested versions and the archive for upgrades agree."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.support.documents import ROOT, rows, text_of
from tests.upgrade.make import FOLDER
from tether_rt import __version__


def test_the_newest_release_of_the_changelog_is_this_version_and_has_an_archive() -> None:
    newest, *_ = re.findall(r"^## \[(\d[^\]]*)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest == __version__
    assert (FOLDER / f"{newest}.tar.gz").is_file()
    assert f"### {newest}\n" in text_of("docs/upgrading.md")


def test_the_readme_leads_to_every_page() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    listed = {target for cells in rows("README.md", "Documentation") for target in re.findall(r"\]\(([^)#]+)", cells[1])}
    assert pages - listed == set()


def test_the_tested_versions_are_those_of_the_tests() -> None:
    pinned = dict(line.split("==") for line in text_of("constraints.txt").splitlines() if "==" in line)
    named = re.findall(r"`([\w.-]+)` (\d[\d.]*\d)", text_of("docs/tested.md"))
    assert len(named) > 5
    assert [(name, version) for name, version in named if pinned[name] != version] == []


def test_the_tested_mongodb_is_that_of_the_tests() -> None:
    found = find_spec("fiftyone")
    assert found is not None
    assert found.submodule_search_locations
    mongod = Path(found.submodule_search_locations[0]) / "db" / "bin" / "mongod"
    said = subprocess.run([mongod, "--version"], capture_output=True, text=True, check=True).stdout
    (tested,) = [version for what, version, _ in rows("docs/tested.md", "Tested versions") if what == "MongoDB"]
    assert f"db version v{tested.split(',')[0]}\n" in said
