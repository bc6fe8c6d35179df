"""What a browser loads: the pages, and the files that they ask for."""

from __future__ import annotations

import asyncio
from typing import Final

from tether_rt.errors import NotFound
from tether_rt.http import responses
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.static_files import StaticFile, StaticFiles

_FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
_SMALL_BYTES: Final = 512
"""Below it, what compressing saves is lost in its headers."""

DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages of documentation."""


def page_policy(recordings_origin: str) -> str:
    """Return the Content-Security-Policy of the dashboard; recordings are played from this origin as well, if there is one."""
    media = " ".join(filter(None, ["'self'", recordings_origin]))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"media-src {media}; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


class FileHandler(JsonHandler):
    """The base of what serves a file: compressed once, and not sent again to a browser that has it."""

    _file: StaticFile | None = None

    async def serve(self, file: StaticFile | None, caching: str) -> None:
        """Answer with the file, or with 304; raises `NotFound` for None. `caching` is its Cache-Control."""
        if file is None:
            raise NotFound(responses.NOTHING_HERE)
        self._file = file
        content = file.content
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", caching)
        if file.content_type.startswith(("text/", "image/svg", "application/json")):
            self.add_header("Vary", "Accept-Encoding")
            if len(content) > _SMALL_BYTES and "gzip" in self.request.headers.get("Accept-Encoding", ""):
                large = len(content) > responses.GZIP_MOST_BYTES
                content = await asyncio.to_thread(file.gzipped) if large else file.gzipped()
                self.set_header("Content-Encoding", "gzip")
        self.finish(content)

    def compute_etag(self) -> str | None:
        return self._file.etag if self._file else None


class AssetHandler(FileHandler):
    """A file of the dashboard: kept for ever under its version's address, asked about at each use under any other."""

    def initialize(self, exchange: Exchange, assets: StaticFiles, policy: str) -> None:  # type: ignore[override]
        self.content_security_policy = policy
        super().initialize(exchange)
        self.assets = assets

    async def get(self, *address: str) -> None:
        *version, path = address
        # While servers are being replaced a page may ask for another version than ours. What is sent then must not be kept.
        is_ours = version == [self.assets.version]
        await self.serve(self.assets.file(path), _FOR_EVER if is_ours else ASK_AGAIN)


class PageHandler(AssetHandler):
    """One page at an address of its own: `/` and `/docs`."""

    def initialize(self, exchange: Exchange, assets: StaticFiles, policy: str, page: str) -> None:  # type: ignore[override]
        super().initialize(exchange, assets, policy)
        self.page = page

    async def get(self, *address: str) -> None:
        await self.serve(self.assets.page(self.page), ASK_AGAIN)
