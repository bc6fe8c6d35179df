"""Users of a server that runs in a process of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.support.service import PASSWORD, SECRET, ServerProcess, Tenant
from tether_rt import accounts
from tether_rt.mongo import client as store


@asynccontextmanager
async def signed_in(process: ServerProcess, mongodb_uri: str) -> AsyncIterator[Tenant]:
    """Add a user of a new organization to the process's database on `mongodb_uri`, and sign in."""
    client = store.connect(mongodb_uri)
    try:
        database = store.database(client, process.variables.get("TETHER_DATABASE", "tether"))
        email = f"{uuid.uuid4().hex}@example.com"
        person = accounts.Person(uuid.uuid4().hex, email, "Agent Smith", "agent")
        added = await accounts.add_user(database, SECRET, person, PASSWORD)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            tenant = Tenant(process.url, http, added.user_id, added.organization_id, email, added.api_key)
            answer = await tenant.request("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
            assert answer.status == 200, answer.body
            tenant.token = answer.body["token"]
            yield tenant
    finally:
        client.close()
