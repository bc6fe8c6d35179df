"""The documents agree with the code: tables are complete, links resolve, commands exist, examples fit the contract."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from tests.support.documents import FENCE, ROOT, blocks, rows, section_of, text_of
from tether_rt.cli import commands
from tether_rt.domain import phone
from tether_rt.domain.call import completed_call
from tether_rt.domain.contract import load_contract
from tether_rt.domain.events import (
    CHANGE_EVENT_NAMES,
    CONTACT_EVENT_NAMES,
    DELETION_EVENT_NAMES,
    EVENT_NAMES,
    MAX_NAME_CHARS,
    MAX_SUMMARY_CHARS,
)
from tether_rt.domain.source import API_KIND, KINDS, Source
from tether_rt.http import json_body
from tether_rt.hub import hub, protocol, wire
from tether_rt.ingest import group_commit, storable
from tether_rt.mongo import client as store
from tether_rt.mongo.indexes import create_indexes
from tether_rt.recordings import spool
from tether_rt.recordings.fetch import limits as fetch_limits
from tether_rt.recordings.fetch import url_policy
from tether_rt.runtime.metrics import Metrics
from tether_rt.settings import SETTINGS

CONTRACT = load_contract()
OPENAPI: dict[str, Any] = orjson.loads(CONTRACT.openapi_json())
ASYNCAPI: dict[str, Any] = orjson.loads(CONTRACT.asyncapi_json())
PACKAGE = ROOT / "tether_rt"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md", *(ROOT / "clients").glob("*/README.md")]
)
DEPENDENCIES = "docs/decisions/dependencies.md"
ARCHITECTURE = "docs/architecture.md"
CLIENT_VARIABLES = {"TETHER_URL", "TETHER_API_KEY", "TETHER_TOKEN", "TETHER_EMAIL", "TETHER_PASSWORD"}


def plain(cell: str) -> str:
    return cell.strip("`")


# ---------------------------------------------------------------------- tables


def test_the_settings_page_has_every_setting_with_its_flag_and_default() -> None:
    table = rows("docs/settings.md", "Settings")
    said = [(plain(variable), plain(flag), plain(default)) for variable, flag, default, _ in table]
    assert said == [
        (row.variable, row.flag, "none" if row.default in (None, (), "") else str(row.default)) for row in SETTINGS
    ]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_setting_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"\b(?:TETHER|R2|MONGODB)_[A-Z0-9_]+\b", path.read_text()))
    assert named <= {row.variable for row in SETTINGS} | CLIENT_VARIABLES


def test_monitoring_explains_every_metric_and_no_other() -> None:
    suffix = {"counter": "_total"}
    present = {
        (family.name + suffix.get(family.type, ""), family.type)
        for family in Metrics().registry.collect()
        if family.name.startswith("tether_")
    }
    said = [(plain(name), kind.partition(",")[0]) for name, kind, _ in rows("docs/monitoring.md", "Metrics")]
    assert sorted(said) == sorted(present)


def test_monitoring_explains_every_log_event_and_no_other() -> None:
    said = {name for cell, *_ in rows("docs/monitoring.md", "Logs") for name in re.findall(r"`(\w+)`", cell)}
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [name for name in said if f'"{name}"' not in source] == []
    assert logged_events() - said == set()


def logged_events() -> set[str]:
    """Return the events that the server logs; the demo's simulation has its own."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if "demo" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log":
                event = node.args[2]
                if isinstance(event, ast.Constant) and re.fullmatch(r"\w+", str(event.value)):
                    found.add(str(event.value))
    return found


def test_monitoring_names_every_limit_that_is_counted() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    (row,) = [row for row in rows("docs/monitoring.md", "Metrics") if plain(row[0]) == "tether_limited_total"]
    assert set(re.findall(r'limit="(\w+)"', source)) == set(re.findall(r"`(\w+)`", row[2]))


def test_reliability_says_of_every_limit_what_to_do() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    said = [plain(name) for name, *_ in rows("docs/reliability.md", "The limits and their settings") if name.startswith("`")]
    assert sorted(said) == sorted(set(re.findall(r'limit="(\w+)"', source)))


def test_every_promise_is_held_by_a_test_that_exists() -> None:
    there = set(re.findall(r"def (test_\w+)\(", "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))))
    named = set(re.findall(r"`(test_\w+)`", text_of("docs/reliability.md") + text_of("SECURITY.md")))
    assert named - there == set()
    assert len(named) > 40


def test_decisions_give_a_reason_for_every_dependency_in_its_range() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    wanted = "\n".join((config["options"]["install_requires"], *extras.values()))
    required = dict(re.findall(r"^([\w.\[\]-]+) *([^;\s]*)", wanted, re.MULTILINE))
    tables = rows(DEPENDENCIES, "The server") + rows(DEPENDENCIES, "The extras")
    said = {name: plain(span) for name, span, reason in tables if reason}
    assert said == {name: span or "any" for name, span in required.items()}
    packages = json.loads(text_of("static/package.json"))["dependencies"]
    assert [name for name in packages if f"`{name}`" not in text_of(DEPENDENCIES)] == []


def test_every_decision_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text_of("docs/decisions/README.md")))
    assert linked == {path.name for path in (ROOT / "docs" / "decisions").glob("*.md")} - {"README.md"}


def test_the_architecture_page_has_every_module_and_no_other() -> None:
    named = {}
    for folder, _, modules in rows(ARCHITECTURE, "Modules"):
        named[plain(folder).rstrip("/").replace("(top)", ".")] = set(re.findall(r"`(\w+\.py)`", modules))
    present: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        if not path.name.startswith("__"):
            folder = str(path.parent.relative_to(PACKAGE)).replace("demo/samples", "demo")
            present.setdefault(folder, set()).add(path.name)
    assert named == present


def test_modules_that_the_architecture_page_walks_through_exist() -> None:
    walk = section_of(ARCHITECTURE, "One call") + section_of(ARCHITECTURE, "One event")
    named = re.findall(r"`([a-z_0-9/]+\.py)`", walk)
    assert len(named) > 25
    names = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert [name for name in named if not any(f"/{there}".endswith(f"/{name}") for there in names)] == []


async def test_the_architecture_page_has_every_collection_with_its_indexes(mongodb_uri: str) -> None:
    client = store.connect(mongodb_uri)
    try:
        database = store.database(client, f"t{uuid.uuid4().hex[:12]}")
        await create_indexes(database, 7)
        present = {name: await indexes_of(database, name) for name in await database.list_collection_names()}
        await client.drop_database(database.name)
    finally:
        client.close()
    said = {}
    for name in re.findall(r"^### `(\w+)`$", section_of(ARCHITECTURE, "The data"), re.MULTILINE):
        text = " ".join(section_of(ARCHITECTURE, f"`{name}`").split())
        listed = text.partition("Indexes: ")[2].split("; ") if "Indexes: " in text else ()
        said[name] = {(index.split("`")[1], "(unique" in index) for index in listed}
    assert said == present


async def indexes_of(database: store.Database, name: str) -> set[tuple[str, bool]]:
    """Return the indexes as the page writes them, and whether they are unique."""
    found = await database[name].index_information()
    return {
        (", ".join(field if order == 1 else f"{field} ↓" for field, order in index["key"]), bool(index.get("unique")))
        for title, index in found.items()
        if title != "_id_"
    }


def test_bounds_in_the_architecture_page_are_the_codes() -> None:
    for what, bound, where in rows(ARCHITECTURE, "Where the bounds are"):
        path, name = re.findall(r"`([^`]+)`", where)
        value = getattr(importlib.import_module(f"tether_rt.{path.removesuffix('.py').replace('/', '.')}"), name)
        number, _, unit = bound.partition(" ")
        shown = f"{value:g}" if isinstance(value, float) else f"{value >> 20 if unit == 'MB' else value:,}"
        assert number == shown, what


def test_figures_in_the_readme_are_those_of_the_last_results() -> None:
    results = text_of("bench/results/README.md")
    figures = [
        number for _, *cells in rows("README.md", "Measured") for number in re.findall(r"\d[\d,.]*\d|\d", " ".join(cells))
    ]
    assert len(figures) > 15
    assert [one for one in figures if not re.search(rf"(?<![\d.,]){re.escape(one)}(?![\d]|[.,]\d)", results)] == []


# ---------------------------------------------------------------------- routes, events, errors


def test_every_route_is_where_it_is_looked_for() -> None:
    listed = {tuple(plain(route).split(" ")) for route, *_ in rows("docs/routes.md", "Routes")}
    assert listed == CONTRACT.operations | {("GET", "/"), ("GET", "/join")}
    named = set(re.findall(r"`(GET|POST) (/[^`?]*)`", "".join(path.read_text() for path in DOCUMENTS)))
    assert named <= CONTRACT.operations | {("GET", "/"), ("GET", "/join")}
    assert "/api/calls/ingest" in text_of("docs/quickstart-vendor.md")
    assert {"/healthz", "/readyz", "/metrics"} <= set(re.findall(r"/\w+", text_of("docs/monitoring.md")))


def test_the_vendors_page_has_every_field_status_and_error() -> None:
    page = " ".join(text_of("docs/quickstart-vendor.md").split())
    for name in OPENAPI["components"]["schemas"]["CallsIngestExternalCallRequest"]["properties"]:
        assert f"`{name}`" in page
    for status in OPENAPI["paths"]["/api/calls/ingest"]["post"]["responses"]:
        assert status in page
    assert [sentence for sentence in refusals() if sentence not in page] == []


def refusals() -> Iterator[str]:
    """The constant parts of what a vendor can be told to mend."""
    for path in (
        *(PACKAGE / "ingest").rglob("*.py"),
        *(PACKAGE / "recordings").rglob("*.py"),
        *(PACKAGE / "domain").rglob("*.py"),
        *(PACKAGE / "http").rglob("*.py"),
    ):
        kinds = {"BadRequest", "TooLarge", "UnsupportedMedia"}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                words = [text.strip(" '()") for text in texts]
                # No query parameter is required at the vendor's door.
                yield from (word for word in words if len(word) > 5 and not word.startswith("Missing query parameter"))
    yield from phone._REASONS.values()


def test_every_vendor_has_a_page_with_its_kind() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "vendors").glob("*.md")} - {"README"}
    assert pages == {*KINDS} - {API_KIND}
    index = text_of("docs/vendors/README.md")
    for kind in pages:
        assert f"]({kind}.md)" in index
        assert f"--kind {kind} " in text_of(f"docs/vendors/{kind}.md").replace("\n", " ")


def test_the_protocols_page_has_every_message_field_and_close_code() -> None:
    page = text_of("docs/protocol.md")
    said = {
        plain(name): set(re.findall(r"`(\w+)`", data))
        for name, data in rows("docs/protocol.md", "Events")
        if "_" in name or plain(name) == "erased"
    }
    assert tuple(said) == (*EVENT_NAMES, *CHANGE_EVENT_NAMES, *CONTACT_EVENT_NAMES, *DELETION_EVENT_NAMES)
    schemas = ASYNCAPI["components"]["schemas"]
    for name in said:
        payload = ASYNCAPI["components"]["messages"][name]["payload"]["$ref"].rpartition("/")[2]
        assert said[name] - {"external"} == set(schemas[payload]["properties"]["data"].get("properties", ()))
    for schema in ("HelloMessage", "ResyncMessage"):
        for field in schemas[schema]["properties"]:
            assert f'"{field}":' in page
    codes = {cell for cell, *_ in rows("docs/protocol.md", "How a connection ends") if cell.isdigit()}
    assert codes == {str(int(code)) for code in protocol.Close} == set(ASYNCAPI["channels"]["feed"]["x-close-codes"])


def test_messages_in_the_protocols_page_fit_the_contract() -> None:
    schema = {"hello": "HelloMessage", "resync": "ResyncMessage"}
    messages = {message["event"]: message for message in map(json.loads, blocks("docs/protocol.md", "json"))}
    for event, name in schema.items():
        CONTRACT.check(name, messages[event])


def test_numbers_in_the_vendors_and_protocols_pages_are_the_codes() -> None:
    """Each with the words beside it: a bare number is found somewhere by chance."""
    limits = fetch_limits.Limits()
    said = {
        "quickstart-vendor": (
            f"{storable.MAX_DEPTH} levels are the limit",
            f"more than {json_body.MAX_VALUES:,} values",
            f"stay below {json_body.MAX_JSON_BYTES >> 20} MB of JSON",
            f"more than {url_policy.MAX_URL_CHARS} characters",
            f"redirect up to {limits.redirects} times",
            f"calls that wait to be stored | {group_commit.MAX_WAITING_CALLS:,}",
            f"at most {phone.MAX_CHARS} characters",
            f"{limits.connect_s:g} seconds to take the connection, {limits.headers_s:g} to begin its answer, "
            f"and {limits.total_s:g} for everything",
            f"tried again for {limits.retry_s:g} seconds",
        ),
        "protocol": (
            f"at most {MAX_NAME_CHARS} characters here, `summary` at most {MAX_SUMMARY_CHARS:,}",
            f"from 0 to {protocol.MAX_SEQ}",
            f"`heartbeat` seconds ({hub.HEARTBEAT_S:g})",
            f"More than {wire.MAX_UNSENT_BYTES >> 20} MiB lay unsent",
        ),
    }
    for name, sentences in said.items():
        page = " ".join(text_of(f"docs/{name}.md").split())
        assert [sentence for sentence in sentences if sentence not in page] == []


def test_numbers_in_the_deployment_page_are_the_codes() -> None:
    bounds = {what: bound for what, bound, _ in rows("docs/deployment.md", "Limits and sizes")}
    metrics = {plain(name): text for name, _, text in rows("docs/monitoring.md", "Metrics")}
    calls, of_one = group_commit.MAX_BATCH_CALLS, group_commit.MAX_WAITING_CALLS_OF_ONE
    assert bounds["a body without its recording"] == f"{json_body.MAX_JSON_BYTES >> 20} MB, and {json_body.MAX_VALUES:,} values"
    assert bounds["unsent bytes of one dashboard"].startswith(f"{wire.MAX_UNSENT_BYTES >> 20} MiB,")
    assert bounds["fetches at once"] == (
        f"{fetch_limits.MAX_FETCHES}, of one organization {fetch_limits.MAX_FETCHES_OF_ONE}, "
        f"from one host {fetch_limits.MAX_FETCHES_FROM_HOST}; "
        f"{fetch_limits.MAX_WAITING:,} more wait for {fetch_limits.WAIT_S:g} s"
    )
    page = " ".join(text_of("docs/deployment.md").split())
    assert f"Have room there for {fetch_limits.MAX_FILES + spool.MAX_STREAMED} of the largest" in page
    assert f"all of them together {spool.MAX_MEMORY_BYTES >> 20} MiB" in page
    few = fetch_limits.FEW_SLOTS.total
    assert f"fetches {few} recordings at once instead of {fetch_limits.MAX_FETCHES}" in page
    assert f"up to {calls}" in metrics["tether_commit_batch_calls"]
    assert f"{group_commit.MAX_WAITING_CALLS:,}, or {of_one:,} " in metrics["tether_commit_queue_calls"]
    assert f"at most {group_commit.MAX_LANES}" in metrics["tether_commit_lanes"]
    settings = {f"`{row.variable}`": row.default for row in SETTINGS}
    for what, bound, setting in rows("docs/deployment.md", "Limits and sizes"):
        if default := settings.get(setting):
            assert bound.startswith(f"{default:,}"), what


# ---------------------------------------------------------------------- links and commands


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    prose = FENCE.sub("", path.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in {slug(heading) for heading in re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)}, target


def test_commands_in_the_documents_exist() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert {"run", "test", "lint", "bench"} <= set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= targets
    assert [
        word for word in ("SIMULATE", "ARGS") if f"make run {word}=" in text and f"$({word})" not in text_of("Makefile")
    ] == []
    assert set(re.findall(r"tether-rt ([a-z]+)", text)) == set(commands.commands)
    for name, group in commands.commands.items():
        if isinstance(group, click.Group):
            assert set(re.findall(rf"tether-rt {name} ([a-z-]+)", text)) == set(group.commands)
    for line in re.findall(r"^(?:.* \| )?tether-rt (.*?)(?:$|\|)", text, re.MULTILINE):
        command: click.Command = commands
        for word in line.split():
            if isinstance(command, click.Group):
                command = command.commands[word]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options
    assert "--simulate" in text_of("run.py") + text_of("tether_rt/demo/demo.py")


def test_curl_lines_send_what_the_contract_takes() -> None:
    sent = 0
    for path in DOCUMENTS:
        for code in blocks(str(path.relative_to(ROOT)), "bash"):
            for given in re.findall(r"-d '(\{.*?\})'$", code, re.MULTILINE | re.DOTALL) if "/api/calls/ingest" in code else ():
                call = json.loads(given)
                CONTRACT.check("CallsIngestExternalCallRequest", call)
                accepted = completed_call(call, Source("u", "o", "Sam Poe"), now=datetime.now(UTC), fingerprint="")
                assert accepted.external_call_id
                sent += 1
    assert sent == 4
