"""What each role may do, and each scope of a read token, tried on every route of a running server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.service import Service, Tenant
from tether_rt.auth.permissions import GRANTED, ROUTES, Open, Permission, allowed, require, require_scope
from tether_rt.domain.contract import load_contract
from tether_rt.domain.people import ROLES, role_of
from tether_rt.domain.read_token import SCOPES, Scope
from tether_rt.errors import Forbidden
from tether_rt.http.routing import allowed_methods

ADMINS_ALONE = {
    "/api/users",
    "/api/users/invite",
    "/api/users/{userId}",
    "/api/users/{userId}/reset-password",
    "/api/users/{userId}/end-sessions",
    "/api/erase",
    "/api/organization/retention",
    "/api/audit",
    "/api/audit/export",
    "/api/organization",
    "/api/sources",
    "/api/sources/{sourceId}",
    "/api/sources/{sourceId}/rotate",
    "/api/tokens",
    "/api/tokens/{tokenId}",
    "/api/deliveries",
    "/api/deliveries/reasons",
    "/api/deliveries/replay",
    "/api/deliveries/{deliveryId}",
    "/api/deliveries/{deliveryId}/body",
    "/api/deliveries/{deliveryId}/replay",
}
NOT_FOR_VIEWERS = {
    "GET /api/calls/{callId}/recording",
    "GET /api/calls/export",
    "PATCH /api/contacts/{contactId}",
    "POST /api/calls/{callId}/recording/retry",
    "GET /api/user/api-key",
    "POST /api/user/api-key/regenerate",
    "POST /api/calls/validate",
    "POST /api/webhook/{vendor}/dry-run",
}
READ_BY_TOKENS = {
    "feed": {"GET /ws", "GET /api/feed"},
    "calls": {
        "GET /api/calls/history",
        "GET /api/calls/export",
        "GET /api/calls/statistics",
        "GET /api/calls/activity",
        "GET /api/calls/agents",
        "GET /api/calls/{callId}",
        "GET /api/calls/{callId}/history/{number}",
        "GET /api/contacts",
        "GET /api/contacts/{contactId}",
        "POST /api/conversation/all",
        "POST /api/conversation/messages",
    },
    "recordings": {"GET /api/calls/{callId}/recording", "GET /api/calls/{callId}/peaks"},
}
"""Written out once more: who changes the table changes a promise, and says so here."""
ENDS_THE_SESSION = "POST /api/auth/logout"


def routes_of(service: Service) -> list[str]:
    """Return every method and route of the server; the one that ends the session comes last."""
    found = [
        f"{method} {path}"
        for path, target, _ in service.server.app.routes
        for method in allowed_methods(target)
        if method != "HEAD"
    ]
    return sorted(found, key=lambda route: (route == ENDS_THE_SESSION, route))


async def ask(user: Tenant, route: str) -> Any:
    """Send a request to a route; the things that it names do not exist."""
    method, path = route.split()
    path = path.replace("{vendor}", "retell").replace("{number}", "1")
    while "{" in path:
        path = path[: path.index("{")] + "0" * 24 + path[path.index("}") + 1 :]
    body: dict[str, Any] = {"json": {}} if method in ("POST", "PATCH", "PUT") else {}
    return await user.request(method, path, token=user.token, **body)


def is_refused(answer: Any) -> bool:
    """Say if an answer is the refusal of a role."""
    if answer.status != 403:
        return False
    assert answer.body["code"] == "forbidden"
    return re.fullmatch(r"You may not .+: ask an admin( or an agent)? of your organization\.", answer.body["error"]) is not None


def test_every_route_has_a_row_and_every_row_a_route(service_on_disk: Service) -> None:
    assert set(routes_of(service_on_disk)) == set(ROUTES)


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_is_open_to_the_roles_of_the_table_and_closed_to_all_others(
    service_on_disk: Service, role: str
) -> None:
    user = await service_on_disk.tenant(role=role)
    for route in routes_of(service_on_disk):
        needed = ROUTES[route].people
        if needed is Open.NO_SESSION:
            continue
        may = needed is Open.ALL_ROLES or (isinstance(needed, Permission) and role in GRANTED[needed])
        answer = await ask(user, route)
        assert is_refused(answer) is not may, (route, answer)
        assert answer.status not in (401, 500), (route, answer)


async def test_what_the_roles_are_promised_is_in_the_table(service_on_disk: Service) -> None:
    for route, (needed, _) in ROUTES.items():
        if route.split()[1] in ADMINS_ALONE or route.startswith("DELETE "):
            expected: tuple[str, ...] = ("admin",)
        elif route in NOT_FOR_VIEWERS:
            expected = ("admin", "agent")
        else:
            expected = ROLES
        granted = GRANTED[needed] if isinstance(needed, Permission) else ROLES
        assert granted == expected, route


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_read_token_reads_what_its_scope_says_and_nothing_else(service_on_disk: Service, scope: str) -> None:
    admin = await service_on_disk.tenant(role="admin")
    made = await admin.post("/api/tokens", {"name": scope, "scopes": [scope]})
    program = replace(admin, token=made.body["token"], api_key=made.body["token"])
    for route in routes_of(service_on_disk):
        rule = ROUTES[route]
        answer = await ask(program, route)
        assert answer.status != 500, (route, answer)
        if route in READ_BY_TOKENS[scope]:
            assert answer.status not in (401, 403), (route, answer)
        elif rule.people is not Open.NO_SESSION:
            assert (answer.status, answer.body["code"]) == (403, "forbidden"), (route, answer)
            lacking = f"This read token lacks the scope {rule.scope}: ask an admin of your organization for one that has it."
            nothing = "A read token reads calls, recordings and events, and changes nothing: sign in for this."
            assert answer.body["error"] == (lacking if rule.scope else nothing), route
        elif route.split()[0] in ("PATCH", "POST"):
            # Doors for vendors have their own credentials; a page that signs somebody in looks at none.
            assert answer.status in (400, 401, 403, 404), (route, answer)
    assert await service_on_disk.database["calls"].count_documents({"organizationId": admin.organization_id}) == 0


def test_the_table_and_the_contract_agree_on_what_tokens_read() -> None:
    table = {scope: {route for route, rule in ROUTES.items() if rule.scope == scope} for scope in SCOPES}
    assert table == READ_BY_TOKENS
    contract: dict[str, set[str]] = {scope: set() for scope in SCOPES}
    for path, item in orjson.loads(load_contract().openapi_json())["paths"].items():
        for method, operation in item.items():
            for scheme in operation["security"] if method != "parameters" else ():
                for scope in scheme.get("readToken", ()):
                    contract[scope].add(f"{method.upper()} {path}")
    assert contract == READ_BY_TOKENS


@given(
    scopes=st.frozensets(st.sampled_from(SCOPES)),
    route=st.one_of(st.sampled_from(sorted(ROUTES)), st.text(max_size=20)),
)
def test_no_token_may_do_what_no_scope_of_it_says(scopes: frozenset[Scope], route: str) -> None:
    method, _, path = route.partition(" ")
    if any(route in READ_BY_TOKENS[scope] for scope in scopes):
        require_scope(scopes, method, path)
        if method == "GET":
            require_scope(scopes, "HEAD", path)
    else:
        with pytest.raises(Forbidden):
            require_scope(scopes, method, path)


async def test_head_is_judged_as_get(service_on_disk: Service) -> None:
    viewer = await service_on_disk.tenant(role="viewer")
    assert (await viewer.request("HEAD", "/api/sources", token=viewer.token)).status == 403
    assert (await viewer.request("HEAD", "/api/calls/history", token=viewer.token)).status == 200


async def test_a_viewers_own_key_does_not_hold(service_on_disk: Service) -> None:
    viewer = await service_on_disk.tenant(role="viewer")
    assert (await viewer.post_call({})).status == 401
    assert (await viewer.request("GET", "/api/deliveries", token=viewer.api_key)).status == 401


@pytest.mark.parametrize("role", ROLES)
async def test_the_sign_in_and_the_session_say_what_the_role_may_do(service_on_disk: Service, role: str) -> None:
    user = await service_on_disk.tenant(role=role)
    answer = await user.get("/api/user")
    assert answer.body["user"]["accessRole"] == role
    assert answer.body["allowed"] == allowed(role)
    assert ("manage_people" in allowed(role), "export" in allowed(role)) == (role == "admin", role != "viewer")


@pytest.mark.parametrize("role", ["", "owner", "Admin", None])
def test_a_role_that_is_none_may_do_what_a_viewer_may(role: object) -> None:
    assert role_of(role) == "viewer"


@pytest.mark.parametrize("role", [*ROLES, ""])
def test_a_route_without_a_row_is_closed_to_everybody(role: str) -> None:
    with pytest.raises(Forbidden):
        require(role, "GET", "/api/new")


def test_every_permission_is_granted_to_roles_that_exist() -> None:
    assert GRANTED.keys() == set(Permission)
    assert {role for roles in GRANTED.values() for role in roles} <= set(ROLES)
