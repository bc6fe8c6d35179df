"""`tether-rt token`: read tokens as an operator manages them, beside a server that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.program import Program, program
from tests.support.service import Tenant
from tests.test_cli import refusal, run
from tether_rt.auth.credentials import looks_like_read_token

ORG = ("--org", "Maple Dental")


@dataclass
class Operator:
    """Somebody with a shell on the machine of a server."""

    servers: Program
    admin: Tenant

    async def tell(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `tether-rt token …` and return what it printed."""
        done = await asyncio.to_thread(run, "token", *arguments, variables=self.servers.server.variables)
        assert (done.returncode, done.stderr) == (0, ""), done
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def refused(self, *arguments: str) -> str:
        """Run `tether-rt token …` and return the sentence with which it refuses."""
        return refusal(await asyncio.to_thread(run, "token", *arguments, variables=self.servers.server.variables))


@pytest.fixture(scope="module")
async def operator(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    async with program(tmp_path_factory.mktemp("tokens"), mongodb_uri) as servers:
        yield Operator(servers, await servers.tenant("Maple Dental", role="admin"))


async def test_what_the_command_makes_reads_and_what_it_revokes_ends(operator: Operator) -> None:
    (made,) = await operator.tell("add", *ORG, "--name", "Wallboard", "--scope", "calls", "--scope", "feed", "--days", "30")
    assert list(made)[:4] == ["tokenId", "organizationId", "token", "name"]
    assert looks_like_read_token(made["token"])
    assert (made["scopes"], made["createdBy"], made["createdByName"]) == (["feed", "calls"], None, None)
    ends = datetime.fromisoformat(made["expiresAt"])
    assert timedelta(days=29) < ends - datetime.now(UTC) < timedelta(days=31)
    reader = replace(operator.admin, token=made["token"])
    assert (await reader.get("/api/calls/history")).status == 200
    dashboard = await reader.dashboard()
    shown = {name: value for name, value in made.items() if name not in ("token", "lastUsedAt")}
    (listed,) = await operator.tell("list", *ORG)
    assert listed.items() >= shown.items()
    (revoked,) = await operator.tell("revoke", made["tokenId"])
    assert (revoked["tokenId"], revoked["revoked"]) == (made["tokenId"], True)
    assert (await dashboard.socket.receive(20)).data == 4401
    assert await operator.tell("list", *ORG) == []
    entries = (await operator.admin.get("/api/audit?what=token_changed")).body["entries"]
    assert [(entry["door"], entry["userId"], entry["details"]["tokenId"]) for entry in entries] == [
        ("command", None, made["tokenId"])
    ] * 2


async def test_a_date_is_its_first_moment_and_no_date_is_no_end(operator: Operator) -> None:
    (dated,) = await operator.tell("add", *ORG, "--name", "Dated", "--scope", "feed", "--expires", "2999-01-31")
    assert dated["expiresAt"] == "2999-01-31T00:00:00.000Z"
    (endless,) = await operator.tell("add", *ORG, "--name", "Endless", "--scope", "recordings")
    assert endless["expiresAt"] is None


async def test_what_cannot_be_is_refused_with_one_sentence(operator: Operator) -> None:
    refused = operator.refused
    new = ("add", *ORG, "--name", "x", "--scope")
    assert "'--scope': 'call' is not one of 'feed', 'calls', 'recordings'" in await refused(*new, "call")
    assert await refused(*new, "feed", "--expires", "2020-01-01") == "expiresAt must lie in the future."
    assert await refused(*new, "feed", "--expires", "2999-01-31", "--days", "3") == "Give one of --expires and --days."
    assert await refused("revoke", "f" * 24) == f"There is no read token with the id '{'f' * 24}'."
    assert "There is no organization named 'Oak'" in await refused("list", "--org", "Oak")
