"""The two documents themselves: valid, complete, true to the vendors' contract, and in agreement with the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tether_rt.api.calls import DIRECTIONS, STATUSES
from tether_rt.domain.call import KNOWN_FIELDS, Recording, completed_call, iso_ms
from tether_rt.domain.contract import load_contract
from tether_rt.domain.events import (
    CHANGE_EVENT_NAMES,
    CONTACT_EVENT_NAMES,
    DELETION_EVENT_NAMES,
    EVENT_NAMES,
    CallIds,
    call_events,
    event_text,
)
from tether_rt.domain.formats import FORMATS
from tether_rt.domain.source import Source
from tether_rt.domain.wording import KEYWORDS
from tether_rt.http.headers import SESSION_COOKIE
from tether_rt.hub import protocol

CONTRACT = load_contract()
OPENAPI: dict[str, Any] = orjson.loads(CONTRACT.openapi_json())
ASYNCAPI: dict[str, Any] = orjson.loads(CONTRACT.asyncapi_json())
SCHEMAS: dict[str, Any] = OPENAPI["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: operation
    for item in OPENAPI["paths"].values()
    for method, operation in item.items()
    if method != "parameters"
}
RESPONSES = [
    pytest.param(operation_id, status, id=f"{operation_id}-{status}")
    for operation_id, operation in OPERATIONS.items()
    for status in operation["responses"]
]


def resolved(document: dict[str, Any], node: Any) -> Any:
    """Return what a `$ref` inside the document points to, or the node itself."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/")]
        node = target
    return node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from nodes(inner)


def media_examples(media: dict[str, Any]) -> list[Any]:
    return [
        *([media["example"]] if "example" in media else []),
        *(each["value"] for each in media.get("examples", {}).values()),
    ]


def schema_name(media: dict[str, Any]) -> str:
    return str(media["schema"]["$ref"]).rpartition("/")[2]


# ---------------------------------------------------------------------- openapi.yaml


def test_openapi_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(OPENAPI).iter_errors()] == []


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = [node for node in nodes(document) if isinstance(node.get("$ref"), str)]
    assert references
    for reference in references:
        assert resolved(document, reference)


def test_every_component_is_used() -> None:
    used = {node["$ref"] for node in nodes(OPENAPI) if isinstance(node.get("$ref"), str)}
    for kind in ("headers", "parameters", "responses", "schemas"):
        for name in OPENAPI["components"][kind]:
            assert f"#/components/{kind}/{name}" in used


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_operation_says_who_may_use_it_and_what_can_go_wrong(operation_id: str) -> None:
    operation = OPERATIONS[operation_id]
    assert operation["summary"]
    assert set(operation["tags"]) <= {tag["name"] for tag in OPENAPI["tags"]}
    schemes = {name for one in operation["security"] for name in one}
    assert schemes <= set(OPENAPI["components"]["securitySchemes"])
    statuses = set(operation["responses"])
    assert {"500", "503"} <= statuses
    if schemes:
        assert "401" in statuses
    if "sessionCookie" in schemes:
        assert "403" in statuses
    if operation_id.startswith("post_webhook"):  # a body in a vendor's own shape, of any type
        assert {"400", "413"} <= statuses
    elif "requestBody" in operation:
        assert {"400", "413", "415"} <= statuses
        assert operation["requestBody"]["required"] is True
        assert list(operation["requestBody"]["content"]) == ["application/json"]


def test_operation_ids_are_unique() -> None:
    assert len(OPERATIONS) == len(CONTRACT.operations)


@pytest.mark.parametrize(("operation_id", "status"), RESPONSES)
def test_every_response_has_its_headers_shape_and_example(operation_id: str, status: str) -> None:
    response = resolved(OPENAPI, OPERATIONS[operation_id]["responses"][status])
    assert response["description"]
    if status == "101":
        return
    headers = {name: resolved(OPENAPI, header) for name, header in response["headers"].items()}
    assert headers["X-Request-Id"]["required"] is True
    if status == "429" or (status == "503" and operation_id != "get_readyz"):
        assert headers["Retry-After"]["required"] is True
    if int(status) < 400:
        return
    media = response["content"]["application/json"]
    examples = media_examples(media)
    assert examples
    for example in examples:
        CONTRACT.check("ErrorResponse", example)


def test_every_json_example_fits_its_schema() -> None:
    checked = 0
    for node in nodes(OPENAPI):
        media = node.get("application/json")
        if isinstance(media, dict) and "$ref" in media["schema"]:
            examples = media_examples(media)
            assert examples, media
            for example in examples:
                CONTRACT.check(schema_name(media), example)
                checked += 1
    for name, schema in SCHEMAS.items():
        if "example" in schema:
            CONTRACT.check(name, schema["example"])
            checked += 1
    assert checked > 30


def test_every_answer_of_an_api_route_has_a_named_schema() -> None:
    for path, item in OPENAPI["paths"].items():
        if not path.startswith("/api/"):
            continue
        for operation in (item[method] for method in item if method != "parameters"):
            for response in operation["responses"].values():
                media = resolved(OPENAPI, response)["content"].get("application/json")
                assert media is None or "$ref" in media["schema"]


def test_the_document_is_json_through_and_through() -> None:
    """A time without quotes would be a YAML timestamp, and `no` a boolean."""
    assert json.loads(CONTRACT.openapi_json()) == OPENAPI
    values = [value for node in nodes(OPENAPI) for value in node.values()]
    assert {type(value) for value in values} <= {str, int, float, bool, list, dict, type(None)}
    assert "completed" in SCHEMAS["CallStatus"]["enum"]
    assert all(
        isinstance(value, str) for node in nodes(OPENAPI) for value in node.get("enum", []) if value not in (True, False)
    )


# ---------------------------------------------------------------------- schemas


ANNOTATIONS = frozenset(("description", "example", "default", "x-must-be", "x-unknown"))


def keywords_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schema and every schema in it, without taking a property's name for a keyword."""
    if not isinstance(schema, dict):
        return
    yield schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("allOf", ()), *schema.get("anyOf", ())):
        yield from keywords_of(inner)
    for keyword in ("items", "additionalProperties", "propertyNames"):
        yield from keywords_of(schema.get(keyword))


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_schemas_use_only_keywords_that_are_worded_and_formats_that_are_enforced(document: dict[str, Any]) -> None:
    for name, whole in document["components"]["schemas"].items():
        for schema in keywords_of(whole):
            assert schema.keys() <= KEYWORDS | ANNOTATIONS, name
            assert schema.get("format", "password") in FORMATS.keys() | {"password"}, name


def test_requests_say_plainly_what_a_pattern_or_a_choice_means() -> None:
    for operation_id, operation in OPERATIONS.items():
        if "requestBody" not in operation or operation_id.startswith("post_webhook"):
            continue
        schemas = list(keywords_of(SCHEMAS[schema_name(operation["requestBody"]["content"]["application/json"])]))
        choices = [choice for schema in schemas for choice in schema.get("anyOf", ())]
        for schema in schemas:
            assert "x-must-be" in schema or schema in choices or not schema.keys() & {"anyOf", "pattern"}


def test_asyncapi_schemas_mean_the_same_in_draft_7() -> None:
    for whole in ASYNCAPI["components"]["schemas"].values():
        for schema in keywords_of(whole):
            # Draft 7 ignores what stands beside a $ref.
            assert "$ref" not in schema or len(schema) == 1


# ---------------------------------------------------------------------- the vendors' contract


def test_the_ingest_request_is_the_vendors() -> None:
    request = SCHEMAS["CallsIngestExternalCallRequest"]
    said = {
        name: {keyword: value for keyword, value in schema.items() if keyword != "description"}
        for name, schema in request["properties"].items()
    }
    assert said == {
        "direction": {"type": "string", "enum": ["inbound", "outbound"]},
        "fromNumber": {"type": "string"},
        "toNumber": {"type": "string"},
        "duration": {"type": "number"},
        "status": {"type": "string", "enum": ["completed", "no-answer", "busy", "failed"]},
        "transcript": {"type": "array", "items": {"$ref": "#/components/schemas/CallsIngestTranscriptTurn"}},
        "summary": {"type": "string"},
        "recording": {"type": "string"},
        "externalCallId": {"type": "string"},
        "agentName": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": True},
        "callerName": {"type": "string"},
        "callStartTime": {"type": "string", "format": "date-time"},
        "historic": {},
    }
    assert request["type"] == "object"
    assert request["required"] == ["direction", "fromNumber", "toNumber", "duration", "status"]
    assert request["additionalProperties"] is True
    assert request.keys() == {"type", "description", "properties", "required", "additionalProperties", "example"}


def test_a_transcript_turn_is_the_vendors() -> None:
    turn = SCHEMAS["CallsIngestTranscriptTurn"]
    assert turn["type"] == "object"
    assert turn["properties"]["role"] == {"type": "string", "enum": ["agent", "user"]}
    assert turn["properties"]["message"] == {"type": "string"}
    assert turn["properties"]["timestamp"]["type"] == "number"
    assert turn["required"] == ["role", "message"]
    assert turn["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("CallsIngestDedupResponse", ["success", "deduplicated", "callId"]),
        ("CallsIngestCreatedResponse", ["success", "callId", "contactId", "conversationId"]),
        ("CallsIngestErrorResponse", ["success", "error"]),
    ],
)
def test_the_ingest_answers_are_the_vendors(name: str, required: list[str]) -> None:
    schema = SCHEMAS[name]
    assert schema["type"] == "object"
    assert schema["required"] == required
    assert schema["additionalProperties"] is True
    assert schema["properties"]["success"] == {"type": "boolean", "enum": [name != "CallsIngestErrorResponse"]}
    for field in set(required) - {"success", "deduplicated"}:
        assert schema["properties"][field]["type"] == "string"


def test_the_ingest_statuses_are_the_vendors_and_those_of_http() -> None:
    responses = OPERATIONS["post_calls_ingest"]["responses"]
    assert set(responses) == {"200", "201", "400", "401", "408", "413", "415", "429", "500", "503"}
    named = {
        status: schema_name(responses[status]["content"]["application/json"]) for status in ("200", "201", "400", "401", "500")
    }
    assert named == {
        "200": "CallsIngestDedupResponse",
        "201": "CallsIngestCreatedResponse",
        "400": "CallsIngestErrorResponse",
        "401": "CallsIngestErrorResponse",
        "500": "CallsIngestErrorResponse",
    }


# ---------------------------------------------------------------------- agreement with the code


def test_the_code_knows_the_fields_and_values_of_the_contract() -> None:
    assert frozenset(SCHEMAS["CallsIngestExternalCallRequest"]["properties"]) == KNOWN_FIELDS | {"historic"}
    assert SCHEMAS["CallsIngestExternalCallRequest"]["properties"]["status"]["enum"] == SCHEMAS["CallStatus"]["enum"]
    assert SCHEMAS["CallsIngestExternalCallRequest"]["properties"]["direction"]["enum"] == SCHEMAS["CallDirection"]["enum"]
    assert tuple(SCHEMAS["CallStatus"]["enum"]) == STATUSES
    assert tuple(SCHEMAS["CallDirection"]["enum"]) == DIRECTIONS
    assert OPENAPI["components"]["securitySchemes"]["sessionCookie"]["name"] == SESSION_COOKIE
    assert ASYNCAPI["components"]["securitySchemes"]["sessionCookie"]["name"] == SESSION_COOKIE


def test_asyncapi_has_the_events_and_the_two_messages_of_the_server() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    messages = ASYNCAPI["components"]["messages"]
    assert set(messages) == {"hello", "resync", *EVENT_NAMES, *CHANGE_EVENT_NAMES, *CONTACT_EVENT_NAMES, *DELETION_EVENT_NAMES}
    assert set(ASYNCAPI["channels"]["feed"]["messages"]) == set(messages)
    assert ASYNCAPI["channels"]["feed"]["address"] == "/ws"
    sent = [one["$ref"].rpartition("/")[2] for each in ASYNCAPI["operations"].values() for one in each["messages"]]
    assert sorted(sent) == sorted(messages)
    events = ASYNCAPI["operations"]["sendEvents"]["messages"]
    assert tuple(one["$ref"].rpartition("/")[2] for one in events) == (
        *EVENT_NAMES,
        *CHANGE_EVENT_NAMES,
        *CONTACT_EVENT_NAMES,
        *DELETION_EVENT_NAMES,
    )
    for name, message in messages.items():
        assert message["name"] == name


def payload_schema(name: str) -> str:
    return str(ASYNCAPI["components"]["messages"][name]["payload"]["$ref"]).rpartition("/")[2]


@pytest.mark.parametrize(
    "name", ["hello", "resync", *EVENT_NAMES, *CHANGE_EVENT_NAMES, *CONTACT_EVENT_NAMES, *DELETION_EVENT_NAMES]
)
def test_every_message_has_examples_that_fit(name: str) -> None:
    examples = ASYNCAPI["components"]["messages"][name]["examples"]
    assert examples
    for example in examples:
        CONTRACT.check(payload_schema(name), example["payload"])
        assert example["payload"]["event"] == name


def test_asyncapi_has_the_close_codes_of_the_server() -> None:
    assert set(ASYNCAPI["channels"]["feed"]["x-close-codes"]) == {str(code.value) for code in protocol.Close}


def test_what_the_server_says_of_itself_fits() -> None:
    organization_id, epoch = "64f0a1b2c3d4e5f6a7b8c900", "9f86d081884c4d659a2feaa0c55ad015"
    hello, resync = protocol.hello(organization_id, epoch, 7, 9, 20), protocol.resync(epoch, 7, protocol.EXPIRED)
    for name, frame in (("hello", hello), ("resync", resync)):
        CONTRACT.check(payload_schema(name), orjson.loads(frame[frame.index(b"{") :]))


@pytest.mark.parametrize("name", ["completed", "noAnswer"])
def test_the_events_of_the_examples_fit(name: str) -> None:
    example = OPERATIONS["post_calls_ingest"]["requestBody"]["content"]["application/json"]["examples"][name]["value"]
    now = datetime(2026, 5, 15, 9, 12, 36, 120_000, tzinfo=UTC)
    source = Source("64f0a1b2c3d4e5f6a7b8c901", "64f0a1b2c3d4e5f6a7b8c900", "Sam Poe")
    call = completed_call(example, source, now=now, fingerprint="f")
    ids = CallIds("64f0a1b2c3d4e5f6a7b8cb00", "64f0a1b2c3d4e5f6a7b8c9d0", "64f0a1b2c3d4e5f6a7b8c9e0")
    recording = Recording("64f0a1b2c3d4e5f6a7b8cb01", "recordings/o/s.mp3", "audio/mpeg", 1232013, "0" * 64, None)
    with_recording = recording if "recording" in example else None
    events = call_events(call, ids, "Unknown Caller", with_recording)
    assert len(events) == (4 if with_recording else 3)
    for seq, event in enumerate(events, start=1042):
        CONTRACT.check(payload_schema(event.name), orjson.loads(event_text(event, seq, iso_ms(now))))
