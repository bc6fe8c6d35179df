"""What a browser loads: the pages, and the files that they ask for."""

from __future__ import annotations

import asyncio
from typing import Final

from tether_rt.errors import NotFound
from tether_rt.http import responses
from tether_rt.http.context import HttpContext
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.static_files import StaticFile, StaticFiles

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_LARGE_BYTES: Final = 1 << 16
"""Above it, compressing takes longer than the event loop may be held."""
_SMALL_BYTES: Final = 512
"""Below it, what compressing saves is lost in its headers."""


class AssetHandler(JsonHandler):
    """A file of the dashboard: kept for ever under its version's address, asked about at each use under any other."""

    def initialize(self, web: HttpContext, assets: StaticFiles, policy: str) -> None:  # type: ignore[override]
        self.content_security_policy = policy
        super().initialize(web)
        self.assets = assets
        self.set_header("Content-Security-Policy", policy)
        self._asset: StaticFile | None = None

    async def get(self, *address: str) -> None:
        *version, path = address
        asset = self.assets.file(path)
        # Another version than ours is asked for while servers are being replaced. What is sent then must not be kept.
        is_ours = version == [self.assets.version]
        await self.send(asset, _FOR_EVER if is_ours else _ASK_AGAIN)

    async def send(self, asset: StaticFile | None, caching: str) -> None:
        """Answer with a file, compressed where that is understood; to one who has it already, with 304."""
        if asset is None:
            raise NotFound(responses.NOTHING_HERE)
        self._asset = asset
        content = asset.content
        self.set_header("Content-Type", asset.content_type)
        self.set_header("Cache-Control", caching)
        is_text = asset.content_type.startswith(("text/", "image/svg"))
        if is_text and len(content) > _SMALL_BYTES and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            large = len(content) > _LARGE_BYTES
            content = await asyncio.to_thread(asset.gzipped) if large else asset.gzipped()
            self.set_header("Content-Encoding", "gzip")
        self.finish(content)

    def compute_etag(self) -> str | None:
        return self._asset.etag if self._asset else None


class PageHandler(AssetHandler):
    """One page at an address of its own: `/` and `/docs`."""

    def initialize(self, web: HttpContext, assets: StaticFiles, policy: str, page: str) -> None:  # type: ignore[override]
        super().initialize(web, assets, policy)
        self.page = page

    async def get(self, *address: str) -> None:
        await self.send(self.assets.page(self.page), _ASK_AGAIN)
