"""Users of a server that runs in its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.support.service import PASSWORD, ServerProcess, Tenant, add_user
from tether_rt.mongo import client as store


@asynccontextmanager
async def signed_in(process: ServerProcess, mongodb_uri: str) -> AsyncIterator[Tenant]:
    """Add a user of a new organization to the process's database on `mongodb_uri`, and sign in."""
    client = store.connect(mongodb_uri)
    try:
        database = store.database(client, process.variables.get("TETHER_DATABASE", "tether"))
        email, added = await add_user(database)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            tenant = Tenant(process.url, http, added.user_id, added.organization_id, email, added.api_key)
            answer = await tenant.request("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
            assert answer.status == 200, answer.body
            tenant.token = answer.body["token"]
            yield tenant
    finally:
        client.close()
