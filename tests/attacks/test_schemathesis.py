"""Every operation of the served contract, asked in thousands of right and wrong ways: no 5xx, no answer outside the contract.

The requests follow from a fixed seed, so that a failure repeats. The server is a process of its own, as an operator starts it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hypothesis
import orjson
import pytest
import requests
import schemathesis
from pymongo import MongoClient

from tests.support.service import PASSWORD, SECRET, ServerProcess, add_user, sample
from tether_rt import accounts
from tether_rt.auth.credentials import Keyring, SessionClaims
from tether_rt.domain.contract import load_contract
from tether_rt.mongo import client as store

ASYNC = {"Prefer": "respond-async"}
EXAMPLES = 25
"""Made up for each operation, beside those that follow from its limits and examples one by one."""

DOCUMENT: dict[str, Any] = orjson.loads(load_contract().openapi_json())


def accepted_by_more_than_the_schema(operation_id: str) -> dict[str, Any]:
    return {"include-operation-id": operation_id, "checks": {"positive_data_acceptance": {"enabled": False}}}


SCHEMA = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=schemathesis.Config.from_dict(
        {
            "seed": 20260515,
            "generation": {"deterministic": True, "database": "none"},
            "operations": [
                # What a schema cannot say: numbers in E.164, recordings, what is required when; ids and time zones that exist;
                # names that show something.
                accepted_by_more_than_the_schema("post_calls_ingest"),
                # What is wrong with a body is its answer.
                {"include-operation-id": "post_calls_validate", "checks": {"negative_data_rejection": {"enabled": False}}},
                {"include-operation-id": "post_webhook_dry_run", "checks": {"negative_data_rejection": {"enabled": False}}},
                accepted_by_more_than_the_schema("patch_calls_ingest"),
                accepted_by_more_than_the_schema("patch_calls_ingest_by_id"),
                accepted_by_more_than_the_schema("post_sources"),
                accepted_by_more_than_the_schema("post_tokens"),
                accepted_by_more_than_the_schema("patch_sources_by_id"),
                accepted_by_more_than_the_schema("patch_contacts_by_id"),
                *map(accepted_by_more_than_the_schema, ("patch_organization", "post_users_invite", "post_auth_password")),
                *map(accepted_by_more_than_the_schema, ("post_auth_join", "post_auth_link")),
                *map(accepted_by_more_than_the_schema, ("get_calls_history", "get_calls_export")),
                *map(accepted_by_more_than_the_schema, ("post_erase", "get_audit")),
                accepted_by_more_than_the_schema("get_calls_activity"),
                # That a WebSocket is wanted is judged before what it is to begin after.
                {
                    "include-operation-id": "get_ws",
                    "checks": {
                        "negative_data_rejection": {"expected-statuses": ["400", "401", "405", "426"]},
                        "positive_data_acceptance": {"expected-statuses": ["426"]},
                    },
                },
            ],
        }
    ),
)
OPERATIONS = {
    operation["operationId"]: (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


@dataclass
class Site:
    """A server process, a vendor's key, and an agent of the same organization."""

    url: str
    api_key: str
    email: str
    """The agent's address to sign in with."""
    claims: SessionClaims
    sessions: Any
    http: requests.Session = field(default_factory=requests.Session)
    places: Iterator[int] = field(default_factory=itertools.count)

    def session(self) -> str:
        """Begin a session of the agent's and return its token."""
        expires_at = datetime.now(UTC) + timedelta(days=1)
        claims = SessionClaims(store.new_id(), self.claims.user_id, self.claims.organization_id, expires_at)
        self.sessions.insert_one({"_id": claims.session_id, "userId": claims.user_id, "expiresAt": expires_at})
        return Keyring(SECRET).session_token(claims)

    def headers(self, operation_id: str) -> dict[str, str]:
        """Return what authenticates a request for this operation, and a place of its own that it comes from."""
        place = next(self.places)
        token = self.api_key if "_calls_ingest" in operation_id else self.session()
        address = f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"
        return {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}

    def ask(self, operation_id: str, **parts: Any) -> requests.Response:
        """Make one request of an operation's and hold its answer to the contract."""
        path, method = OPERATIONS[operation_id]
        headers = {**self.headers(operation_id), **parts.pop("headers", {})}
        if "body" in parts:
            parts["media_type"] = "application/json"
        case = SCHEMA[path][method.upper()].Case(**parts)
        response = case.call(base_url=self.url, session=self.http, headers=headers)
        case.validate_response(response)
        answer: requests.Response = requests.Response()
        answer.status_code, answer._content = response.status_code, response.content
        return answer


@pytest.fixture(scope="module")
def site(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"t{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("asked")
    process = ServerProcess(folder, MONGODB_URI=mongodb_uri, TETHER_DATABASE=name, TETHER_TRUSTED_PROXIES="127.0.0.1")

    async def begin() -> list[tuple[str, accounts.NewUser]]:
        await process.start()
        client = store.connect(mongodb_uri)
        added = [await add_user(store.database(client, name), name, role="admin") for _ in range(2)]
        client.close()
        return added

    (_, vendor), (email, agent) = asyncio.run(begin())
    claims = SessionClaims("", agent.user_id, agent.organization_id, datetime.now(UTC))
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        site = Site(process.url, vendor.api_key, email, claims, client[name]["sessions"])
        with site.http:
            yield site
    assert asyncio.run(process.stop()) == 0
    assert [line for line in process.lines() if line["level"] == "error"] == []


def test_the_contract_that_is_asked_is_the_one_that_is_served(site: Site) -> None:
    assert site.http.get(site.url + "/openapi.json").json() == DOCUMENT


@SCHEMA.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_whatever_is_asked_the_answer_is_in_the_contract(case: schemathesis.Case[Any], site: Site) -> None:
    operation_id = case.operation.definition.raw["operationId"]
    if operation_id == "get_feed" and str(case.query.get("wait")).isdecimal():
        case.query["wait"] = 0  # the client of this test waits for 10 s
    case.call_and_validate(base_url=site.url, session=site.http, headers=site.headers(operation_id))


def test_every_operation_succeeds_as_the_contract_says(site: Site) -> None:
    """Chance hits no id that exists, no password and no signature; here they are given."""
    succeeded: dict[str, set[int]] = {}

    def ask(operation_id: str, **parts: Any) -> Any:
        answer = site.ask(operation_id, **parts)
        succeeded.setdefault(operation_id, set()).add(answer.status_code)
        return answer

    call = sample()
    ids = ask("post_calls_ingest", body=call).json()
    ask("post_calls_ingest", body=call)
    ask("post_calls_ingest", body={**call, "summary": "another one"})
    ask("post_calls_validate", body=call)
    ask("patch_calls_ingest", body={"externalCallId": call["externalCallId"], "summary": "Late."})
    of_external = {"path_parameters": {"externalCallId": call["externalCallId"]}}
    ask("patch_calls_ingest_by_id", **of_external, body={"agentName": "Sam"})
    of_change = {"path_parameters": {"callId": ids["callId"], "number": "1"}}
    ask("get_calls_by_id_history_by_id", **of_change)
    ask("post_calls_validate", body={**call, "status": "answered"})
    of_call = {"path_parameters": {"callId": ids["callId"]}}
    of_contact = {"path_parameters": {"contactId": ids["contactId"]}}
    ask("post_auth_login", body={"email": site.email, "password": PASSWORD})
    for operation_id in OPERATIONS:
        path, method = OPERATIONS[operation_id]
        if method == "get" and "{" not in path and path != "/ws":
            ask(operation_id)
    for operation_id in ("get_calls_by_id", "get_calls_peaks", "get_calls_recording"):
        audio_url = ask(operation_id, **of_call).json().get("audioUrl")
    link = urlsplit(audio_url)
    recording = {"path_parameters": {"recordingId": link.path.rpartition("/")[2]}, "query": dict(parse_qsl(link.query))}
    ask("get_recordings_by_id", **recording)
    later = {**call, "externalCallId": uuid.uuid4().hex, "recording": "http://127.0.0.1/a.mp3"}
    given_up = {"path_parameters": {"callId": ask("post_calls_ingest", body=later, headers=ASYNC).json()["callId"]}}
    while ask("get_calls_by_id", **given_up).json()["call"]["recordingStatus"] != "failed":
        time.sleep(0.05)
    ask("post_calls_recording_retry", **given_up)
    ask("get_recordings_by_id", **recording, headers={"Range": "bytes=0-99"})
    ask("get_recordings_by_id", **recording, headers={"Range": "bytes=99999999-"})
    ask("get_contacts_by_id", **of_contact)
    ask("patch_contacts_by_id", **of_contact, body={"name": "Priya Nair"})
    ask("post_conversation_all", body={"contactId": ids["contactId"]})
    ask("post_conversation_messages", body={"conversationId": ids["conversationId"], "limit": 1})
    ask("get_calls_history", query={"before": ids["callId"], "limit": 1, "status": "completed", "search": "appointment"})
    ask("get_calls_activity", query={"timeZone": "America/Toronto"})
    source = ask("post_sources", body={"name": "Booking agent", "settings": {"numbers": ["+14165550100"]}}).json()["source"]
    of_source = {"path_parameters": {"sourceId": source["id"]}}
    ask("get_sources_by_id", **of_source)
    ask("patch_sources_by_id", **of_source, body={"enabled": False})
    ask("post_sources_rotate", **of_source, body={"overlapHours": 1})
    made = ask("post_tokens", body={"name": "Wallboard", "scopes": ["feed"], "expiresAt": "2999-01-31T00:00:00Z"}).json()
    ask("delete_tokens_by_id", path_parameters={"tokenId": made["readToken"]["id"]})
    person = {"email": f"{uuid.uuid4().hex}@example.com", "fullName": "Ann Lee", "role": "viewer"}
    invited = ask("post_users_invite", body=person).json()
    of_user = {"path_parameters": {"userId": invited["user"]["id"]}}
    path = ask("post_users_reset_password", **of_user).json()["path"]
    ask("patch_users_by_id", **of_user, body={"role": "agent"})
    ask("post_auth_link", body={"token": path.partition("=")[2]})
    ask("post_auth_join", body={"token": path.partition("=")[2], "password": "purple lantern seven"})
    ask("post_users_end_sessions", **of_user)
    ask("post_auth_password", body={"current": PASSWORD, "new": PASSWORD})
    ask("patch_organization", body={"timeZone": "America/Toronto", "retention": {"callsDays": 365}})
    event = {"message": {"type": "status-update", "call": {"id": "one"}}}
    vapi = {"name": "Vapi", "kind": "vapi", "secrets": ["a secret of Vapi's"], "settings": {"proof": "secret"}}
    vendors = {"vendor": "vapi", "sourceId": ask("post_sources", body=vapi).json()["source"]["id"]}
    ask("post_webhook", path_parameters=vendors, headers={"X-Vapi-Secret": "a secret of Vapi's"}, body=event)
    ask("post_webhook_dry_run", path_parameters={"vendor": "vapi"}, query={"source": vendors["sourceId"]}, body=event)
    secret = uuid.uuid4().hex
    ask("post_sources", body={"name": "ElevenLabs", "kind": "elevenlabs", "secrets": [secret]})
    ask("post_webhook_elevenlabs", headers={"Authorization": f"Bearer {secret}"}, body={"type": "another"})
    site.http.post(site.url + "/api/calls/ingest", json={}, headers=site.headers("post_calls_ingest"))
    while not (kept := ask("get_deliveries", query={"verdict": "refused"}).json()["deliveries"]):  # it is kept after its answer
        time.sleep(0.05)
    of_delivery = {"path_parameters": {"deliveryId": kept[0]["id"]}}
    for operation_id in ("get_deliveries_by_id", "get_deliveries_by_id_body", "post_deliveries_by_id_replay"):
        ask(operation_id, **of_delivery)
    ask("get_deliveries_reasons")
    ask("post_deliveries_replay", body={"filter": {"code": "missing_field"}, "plan": True})
    ask("post_deliveries_replay", body={"filter": {"code": kept[0]["code"]}, "plan": False})
    ask("delete_calls_by_id", **of_call)
    other = ask("post_calls_ingest", body={**call, "externalCallId": uuid.uuid4().hex}).json()
    ask("delete_contacts_by_id", path_parameters={"contactId": other["contactId"]})
    ask("post_erase", body={"before": "2000-01-01"})
    ask("post_user_api_key_regenerate")
    ask("post_auth_logout")
    ask("get_ws", query={"after": 0})

    assert succeeded.keys() == OPERATIONS.keys(), "an operation that is new belongs into this test"
    assert succeeded.pop("get_ws") == {426}, "tests/hub has those that open one"
    assert succeeded.pop("post_calls_ingest") == {200, 201}
    assert succeeded.pop("post_sources") == {201}
    assert succeeded.pop("post_tokens") == {201}
    assert succeeded.pop("post_users_invite") == {201}
    assert succeeded.pop("get_recordings_by_id") == {200, 206, 416}
    assert {status for statuses in succeeded.values() for status in statuses} == {200}
