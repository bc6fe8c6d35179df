"""The dashboard's files, served under an address that contains the version of their content, and compressed once.

The version is a digest of all files that are served. A page refers to its files under that version, so a browser keeps them for
ever and never asks again; a new version is a new address. It depends on content alone, so several processes with the same files
have the same version.

A file that changes on disk is read again, so a developer only reloads the page.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_FOLDERS: Final = ("css", "js", "vendor")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""The suffixes of files that are served, and their content types."""

_OWN_FILE: Final = re.compile(rb'="(?:\.\./)?static/')
"""How a page refers to a file: below whatever path the page itself is served."""

_Stamp = tuple[int, int]
"""A file's time of change and its size: they show a change without reading the file."""


def static_folder() -> Path:
    """Return the dashboard's files: in the package in a wheel, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "static"
    return installed if installed.is_dir() else package.parent / "static"


@dataclass(slots=True)
class StaticFile:
    """Content that is served as a file; `stamp` is that of the file on disk, if there is one."""

    content: bytes
    content_type: str
    stamp: _Stamp = (0, 0)
    digest: str = field(init=False)
    _gzipped: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.digest = _digest(self.content)

    @property
    def etag(self) -> str:
        """Return its ETag; weak, because the compressed form has the same one."""
        return f'W/"{self.digest}"'

    def gzipped(self) -> bytes:
        """Return it compressed. The first time takes 50 ms for a megabyte."""
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.content, 9, mtime=0)
        return self._gzipped


class StaticFiles:
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, StaticFile] = {}
        self.version = ""
        """The version that the latest page refers to."""

    def file(self, path: str) -> StaticFile | None:
        """Return a file by its path below the folder, such as `js/main.js`; None if it is not served."""
        known = self._files.get(path)
        # A path is only looked up among those that the walk has found, so none leads out of the folder.
        if known is None or known.stamp != _stamp_of(self._folder / path):
            self._walk()
        return self._files.get(path)

    def page(self, path: str) -> StaticFile | None:
        """Return a page that refers to its files under the present version."""
        self._walk()
        page = self._files.get(path)
        if page is None:
            return None
        content = _OWN_FILE.sub(rb"\g<0>" + self.version.encode() + b"/", page.content)
        return StaticFile(content, page.content_type, page.stamp)

    def _walk(self) -> None:
        found: dict[str, StaticFile] = {}
        for path, entry in sorted(_entries(self._folder), key=lambda one: one[0]):
            stamp = _stamp(entry.stat())
            known = self._files.get(path)
            found[path] = known if known is not None and known.stamp == stamp else _read(Path(entry.path), stamp)
        self._files = found
        self.version = _digest("\n".join(f"{path} {asset.digest}" for path, asset in found.items()).encode())


def _entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = folder + entry.name
                if entry.is_dir():
                    if folder or entry.name in _FOLDERS:
                        folders.append(f"{path}/")
                elif Path(entry.name).suffix in _TYPES:
                    yield path, entry


def _read(path: Path, stamp: _Stamp) -> StaticFile:
    return StaticFile(path.read_bytes(), _TYPES[path.suffix], stamp)


def _stamp_of(path: Path) -> _Stamp | None:
    try:
        return _stamp(path.stat())
    except OSError:  # removed since it was found
        return None


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_mtime_ns, found.st_size


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]
