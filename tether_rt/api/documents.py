"""The contract and the sample call: JSON that stays the same while the process runs."""

from __future__ import annotations

from tether_rt.api.static_pages import ASK_AGAIN, FileHandler
from tether_rt.http.exchange import Exchange
from tether_rt.http.static_files import StaticFile


class DocumentHandler(FileHandler):
    """`GET /openapi.json`, `/asyncapi.json` and `/api/sample-call`, for pages of any origin."""

    def initialize(self, exchange: Exchange, document: StaticFile) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.document = document
        if "Access-Control-Allow-Origin" not in exchange.response_headers():
            self.set_header("Access-Control-Allow-Origin", "*")

    async def get(self) -> None:
        await self.serve(self.document, ASK_AGAIN)
