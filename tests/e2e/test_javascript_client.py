"""The package for JavaScript in a page of another origin, which the server allows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from aiohttp import web
from playwright.async_api import expect

from tests.conftest import settings_on
from tests.e2e.conftest import NewAgent
from tests.support.node import PACKAGE
from tests.support.proxy import proxy_to
from tests.support.service import missed, running
from tests.support.web_app import served

PAGE = """
<!doctype html><title>A desk</title><ol></ol><p></p>
<script type="module">
  import { Client } from "/src/index.js";
  const { url, apiKey, token, call } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const client = new Client(url, { apiKey, token });
  const { callId } = await client.send(call);
  try {
    for await (const { seq, data } of client.follow({ after: 0 })) {
      const row = document.createElement("li");
      row.textContent = `${seq} ${data.callId}`;
      document.querySelector("ol").append(row);
      document.querySelector("p").textContent = `sent ${callId}`;
    }
  } catch (error) {
    document.querySelector("p").textContent = `${error.name}: ${error.message}`;
  }
</script>
"""


@asynccontextmanager
async def another_origin() -> AsyncIterator[str]:
    """Serve the page and the package's modules; yield the origin."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    application = web.Application()
    application.router.add_get("/", page)
    application.router.add_static("/src", PACKAGE / "src")
    async with served(application) as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_page_of_an_allowed_origin_sends_and_follows_across_drops(
    mongodb_uri: str, new_agent: NewAgent, tmp_path: Path
) -> None:
    async with another_origin() as origin, running(settings_on(mongodb_uri, tmp_path, allowed_origins=origin)) as service:
        tenant = await service.tenant()
        address = urlsplit(service.base_url)
        async with proxy_to(str(address.hostname), int(address.port or 0)) as proxy:
            agent = await new_agent(origin)
            given = {
                "url": f"http://127.0.0.1:{proxy.port}",
                "apiKey": tenant.api_key,
                "token": tenant.token,
                "call": missed(),
            }
            await agent.open("/#" + quote(json.dumps(given)))
            rows = agent.page.locator("li")
            await expect(rows).to_have_count(3)
            for number in range(2, 6):
                proxy.cut()
                assert (await tenant.post_call(missed())).status == 201
                await expect(rows).to_have_count(3 * number)
            texts = [text.split() for text in await rows.all_inner_texts()]
            assert [int(seq) for seq, _ in texts] == list(range(1, 16))
            await expect(agent.page.locator("p")).to_have_text(f"sent {texts[0][1]}")
            assert (await tenant.post("/api/auth/logout")).status == 200
            await expect(agent.page.locator("p")).to_contain_text("Unauthorized: ")
