"""`tether-rt source`: sources as an operator manages them, beside servers that run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.program import Program, program
from tests.support.service import Tenant, missed
from tests.support.waiting import eventually
from tests.test_cli import refusal, run
from tether_rt.auth.credentials import looks_like_api_key


@dataclass
class Operator:
    """Somebody with a shell on the machine of two servers."""

    servers: Program
    admin: Tenant
    organization: str

    async def tell(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `tether-rt source …` and return what it printed."""
        done = await asyncio.to_thread(run, "source", *arguments, variables=self.servers.server.variables)
        assert (done.returncode, done.stderr) == (0, ""), done
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def refused(self, *arguments: str) -> str:
        """Run `tether-rt source …` and return the sentence with which it refuses."""
        return refusal(await asyncio.to_thread(run, "source", *arguments, variables=self.servers.server.variables))

    async def statuses(self, key: str) -> list[int]:
        """Send a call with this key to each server and return the statuses of the answers."""
        vendors = [replace(self.admin, base_url=url, api_key=key) for url in self.servers.urls]
        return [(await vendor.post_call(missed())).status for vendor in vendors]


@pytest.fixture(scope="module")
async def operator(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    async with program(tmp_path_factory.mktemp("sources"), mongodb_uri, processes=2) as servers:
        yield Operator(servers, await servers.tenant("Maple Dental", role="admin"), "Maple Dental")


async def test_what_the_command_adds_is_a_source_like_any_other(operator: Operator) -> None:
    given = ("--number", "+1 416 555 0100", "--set", "recordings=later", "--set", "agentIds=a, b", "--set", "toleranceS=60")
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Booking agent", *given)
    assert list(added) == ["sourceId", "organizationId", "kind", "apiKey"]
    assert (added["organizationId"], added["kind"]) == (operator.admin.organization_id, "api")
    assert looks_like_api_key(added["apiKey"])
    assert await operator.statuses(added["apiKey"]) == [201, 201]
    shown = (await operator.admin.get(f"/api/sources/{added['sourceId']}")).body["source"]
    assert (shown["name"], shown["createdBy"], shown["enabled"]) == ("Booking agent", None, True)
    own = {"recordings": "later", "agentIds": ["a", "b"], "toleranceS": 60, "numbers": ["+14165550100"]}
    assert shown["settings"].items() >= own.items()
    listed = {one["sourceId"]: one for one in await operator.tell("list", "--org", "Maple Dental")}
    del shown["deliveries"], shown["lastSeenAt"], listed[added["sourceId"]]["lastSeenAt"]  # may be stored in between
    own = {"createdByName": None, "refusedLastDay": 0}  # where one source is shown
    assert {"id": listed[added["sourceId"]].pop("sourceId"), **listed[added["sourceId"]], **own} == shown


async def test_a_vendors_source_has_an_address_instead_of_a_key(operator: Operator) -> None:
    given = ("--kind", "vapi", "--secret", "one", "--set", "proof=secret", "--set", "publicUrl=https://calls.example.com/")
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Voice agents", *given)
    assert list(added) == ["sourceId", "organizationId", "kind", "webhookPath"]
    assert (added["kind"], added["webhookPath"]) == ("vapi", f"/api/webhook/vapi/{added['sourceId']}")
    shown = (await operator.admin.get(f"/api/sources/{added['sourceId']}")).body["source"]
    assert len(shown["secrets"]) == 1
    assert (shown["settings"]["proof"], shown["settings"]["publicUrl"]) == ("secret", "https://calls.example.com")
    refused = await operator.refused("rotate", added["sourceId"])
    assert refused.startswith("A source of the kind vapi has no API key: change its secrets instead")


async def test_a_path_in_front_is_part_of_what_the_commands_print(operator: Operator) -> None:
    below = ("--base-path", "/tether")
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Lines", "--kind", "telnyx", *below)
    path = f"/tether/api/webhook/telnyx/{added['sourceId']}"
    assert added["webhookPath"] == path
    (changed,) = await operator.tell("change", added["sourceId"], "--name", "More lines", *below)
    listed = await operator.tell("list", "--org", "Maple Dental", *below)
    assert {changed["webhookPath"], *(one["webhookPath"] for one in listed if one["sourceId"] == added["sourceId"])} == {path}


async def test_a_source_is_changed_by_what_is_named(operator: Operator) -> None:
    given = ("--kind", "elevenlabs", "--number", "+14165550100", "--set", "agentIds=a,b")
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Before", *given)
    change = ("change", added["sourceId"])
    (changed,) = await operator.tell(*change, "--name", "After", "--secret", "one", "--secret", "two", "--set", "agentIds=c")
    assert (changed["sourceId"], changed["name"], len(changed["secrets"])) == (added["sourceId"], "After", 2)
    assert (changed["settings"]["agentIds"], changed["settings"]["numbers"]) == (["c"], ["+14165550100"])
    assert await operator.tell(*change) == [changed]
    assert (await operator.admin.get("/api/sources")).body["sources"][-1]["name"] == "After"


async def test_a_secret_may_come_on_standard_input_and_then_no_list_of_processes_shows_it(operator: Operator) -> None:
    add = ("source", "add", "--org", "Maple Dental", "--name", "A", "--kind", "retell", "--secret", "-", "--secret", "-")
    variables = operator.servers.server.variables
    done = await asyncio.to_thread(run, *add, variables=variables, stdin=b"key_1\nkey_2\n")
    assert (done.returncode, done.stderr) == (0, ""), done
    source_id = json.loads(done.stdout)["sourceId"]
    assert len((await operator.admin.get(f"/api/sources/{source_id}")).body["source"]["secrets"]) == 2


async def test_a_source_that_is_disabled_stops_in_every_process(operator: Operator) -> None:
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Old system")
    own = {"sourceId": added["sourceId"], "organizationId": added["organizationId"]}
    assert await operator.statuses(added["apiKey"]) == [201, 201]
    for command, enabled, status in (("disable", False, 401), ("enable", True, 201)):
        assert await operator.tell(command, added["sourceId"]) == [{**own, "enabled": enabled}]

        async def everywhere(expected: int = status) -> bool:
            return await operator.statuses(added["apiKey"]) == [expected, expected]

        await eventually(everywhere)
    assert await operator.statuses(operator.admin.api_key) == [201, 201]


async def test_rotating_prints_a_key_beside_which_the_old_one_holds(operator: Operator) -> None:
    (added,) = await operator.tell("add", "--org", "Maple Dental", "--name", "Voice bot")
    assert await operator.statuses(added["apiKey"]) == [201, 201]
    (rotated,) = await operator.tell("rotate", added["sourceId"])
    assert list(rotated) == ["sourceId", "organizationId", "apiKey"]
    assert await operator.statuses(added["apiKey"]) == await operator.statuses(rotated["apiKey"]) == [201, 201]
    (last,) = await operator.tell("rotate", added["sourceId"], "--overlap-hours", "0")

    async def others_have_ended() -> bool:
        return {*await operator.statuses(added["apiKey"]), *await operator.statuses(rotated["apiKey"])} == {401}

    await eventually(others_have_ended)
    assert await operator.statuses(last["apiKey"]) == [201, 201]


async def test_what_is_wrong_with_a_source_is_said_in_one_sentence(operator: Operator) -> None:
    add = ("add", "--org", "Maple Dental", "--name", "A")
    assert "There is no organization named 'Nobody'" in await operator.refused("add", "--org", "Nobody", "--name", "A")
    assert "There is no organization named 'Nobody'" in await operator.refused("list", "--org", "Nobody")
    kinds = "api, elevenlabs, retell, vapi, twilio, bland, standard, telnyx, quo"
    assert await operator.refused(*add, "--kind", "retel") == f"kind must be one of {kinds}."
    assert "secrets are for sources of vendors" in await operator.refused(*add, "--secret", "s")
    assert await operator.refused(*add, "--kind", "retell", "--secret", "-") == (
        "The secret is missing: give it as one line on standard input."
    )
    assert "--set takes KEY=VALUE" in await operator.refused(*add, "--set", "historic")
    assert "settings.historic must be true or false" in await operator.refused(*add, "--set", "historic=yes")
    assert "settings.toleranceS must be a number" in await operator.refused(*add, "--set", "toleranceS=long")
    assert "settings.colour is not a known field" in await operator.refused(*add, "--set", "colour=red")
    assert "settings.numbers[0] must" in await operator.refused(*add, "--number", "555 0100")
    for command in ("rotate", "disable", "enable", "change"):
        assert "There is no source with the id 'x'" in await operator.refused(command, "x")
    assert "overlapHours must be 720 or less" in await operator.refused("rotate", "x", "--overlap-hours", "721")
