"""The dashboard's files: one version for all of them, told by their content; and nothing but them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tether_rt.http.static_files import StaticFile, StaticFiles, static_folder

PAGE = b'<link href="static/css/base.css"><script src="../static/js/main.js"></script><a href="/">x</a>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dashboard of few files, and what lies beside them."""
    files = {
        "index.html": PAGE,
        "js/main.js": b"import './deep/other.js';",
        "js/deep/other.js": b"1;",
        "css/base.css": b"a {}",
        "package.json": b"{}",
        "vendor.mjs": b"1;",
        "node_modules/x/x.js": b"1;",
        "js/notes.md": b"#",
    }
    for name, content in files.items():
        path = tmp_path / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "secret.js").write_bytes(b"secret")
    return tmp_path / "static"


def change(path: Path, content: bytes) -> None:
    """Write a file as somebody does who saves it a moment later."""
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 1, before + 1))


def found(assets: StaticFiles, name: str) -> StaticFile:
    asset = assets.file(name)
    assert asset is not None
    return asset


def version_of(assets: StaticFiles) -> str:
    assert assets.page("index.html") is not None
    return assets.version


def test_a_page_asks_for_its_own_files_under_their_version(folder: Path) -> None:
    assets = StaticFiles(folder)
    page = assets.page("index.html")
    assert page is not None
    assert page.content == PAGE.replace(b"static/", f"static/{assets.version}/".encode())
    assert len(assets.version) == 20


def test_the_same_files_have_the_same_version_wherever_and_whenever_they_lie(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    folder.rename(copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    first = version_of(StaticFiles(copy))
    copy.rename(folder)
    assert version_of(StaticFiles(folder)) == first


@pytest.mark.parametrize("name", ["js/main.js", "js/deep/other.js", "css/base.css", "index.html"])
def test_a_file_that_changes_is_read_again_and_makes_another_version(folder: Path, name: str) -> None:
    assets = StaticFiles(folder)
    before = version_of(assets)
    etag = found(assets, name).etag
    change(folder / name, PAGE + b" ")
    changed = assets.file(name)
    assert changed is not None
    assert changed.content == PAGE + b" "
    assert changed.etag != etag
    assert version_of(assets) != before


def test_a_file_that_comes_or_goes_is_noticed(folder: Path) -> None:
    assets = StaticFiles(folder)
    before = version_of(assets)
    assert assets.file("js/new.js") is None
    (folder / "js/new.js").write_bytes(b"2;")
    assert assets.file("js/new.js") is not None
    (folder / "js/new.js").unlink()
    assert assets.file("js/new.js") is None
    assert version_of(assets) == before


@pytest.mark.parametrize(
    "path",
    [
        "package.json", "vendor.mjs", "node_modules/x/x.js", "js/notes.md", "../secret.js", "js/../../secret.js", "/etc/passwd",
        "js", "js/", "", ".", "js/../js/main.js", "js//main.js", "js/main.js\0", "js/\ud800.js", "x" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is_a_file(folder: Path, path: str) -> None:
    assert StaticFiles(folder).file(path) is None


def test_compressing_loses_nothing_and_is_done_once() -> None:
    asset = StaticFiles(static_folder()).file("js/main.js")
    assert asset is not None
    assert gzip.decompress(asset.gzipped()) == asset.content
    assert asset.gzipped() is asset.gzipped()


def test_text_is_utf_8_and_a_script_a_script(folder: Path) -> None:
    assets = StaticFiles(folder)
    kinds = {name: found(assets, name).content_type for name in ("index.html", "js/main.js", "css/base.css")}
    assert kinds == {
        "index.html": "text/html; charset=utf-8",
        "js/main.js": "text/javascript; charset=utf-8",
        "css/base.css": "text/css; charset=utf-8",
    }
