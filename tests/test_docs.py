"""What the documents say is so: tables are complete, links lead somewhere, commands exist, examples fit the contract."""

from __future__ import annotations

import ast
import configparser
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from tests.support.documents import FENCE, ROOT, blocks, text_of
from tether_rt.cli import commands
from tether_rt.domain import phone
from tether_rt.domain.call import Caller, completed_call
from tether_rt.domain.contract import load_contract
from tether_rt.domain.events import EVENT_NAMES, MAX_NAME_CHARS, MAX_SUMMARY_CHARS
from tether_rt.http import json_body
from tether_rt.hub import hub, protocol, wire
from tether_rt.ingest import group_commit, storable
from tether_rt.recordings.fetch import fetcher, url_policy
from tether_rt.runtime.metrics import Metrics
from tether_rt.settings import SETTINGS

CONTRACT = load_contract()
OPENAPI: dict[str, Any] = orjson.loads(CONTRACT.openapi_json())
ASYNCAPI: dict[str, Any] = orjson.loads(CONTRACT.asyncapi_json())
PACKAGE = ROOT / "tether_rt"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CLIENT_VARIABLES = {"TETHER_URL", "TETHER_API_KEY", "TETHER_EMAIL", "TETHER_PASSWORD"}


def rows(name: str, section: str) -> list[list[str]]:
    """The cells of the tables under a heading, without the tables' heads."""
    part = re.split(rf"^#+ {re.escape(section)}$", text_of(name), flags=re.MULTILINE)[1]
    part = re.split(r"^#{1,2} ", part, flags=re.MULTILINE)[0]
    part = re.sub(r"^\|.*\n\| ---.*\n", "", part, flags=re.MULTILINE)
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def plain(cell: str) -> str:
    return cell.strip("`")


# ---------------------------------------------------------------------- tables


def test_the_readme_has_every_setting_with_its_flag_and_default() -> None:
    said = [(plain(variable), plain(flag), plain(default)) for variable, flag, default, _ in rows("README.md", "Settings")]
    assert said == [
        (row.variable, row.flag, "none" if row.default in (None, ()) else str(row.default)) for row in SETTINGS
    ]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_names_a_setting_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"\b(?:TETHER|R2|MONGODB)_[A-Z0-9_]+\b", path.read_text()))
    assert named <= {row.variable for row in SETTINGS} | CLIENT_VARIABLES


def test_deployment_explains_every_metric_and_no_other() -> None:
    suffix = {"counter": "_total"}
    present = {
        (family.name + suffix.get(family.type, ""), family.type)
        for family in Metrics().registry.collect()
        if family.name.startswith("tether_")
    }
    said = [(plain(name), kind.partition(",")[0]) for name, kind, _ in rows("docs/deployment.md", "Metrics")]
    assert sorted(said) == sorted(present)


def test_deployment_explains_only_log_events_that_exist() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    events = [name for cell, *_ in rows("docs/deployment.md", "Logs") for name in re.findall(r"`(\w+)`", cell)]
    assert len(events) > 15
    assert [name for name in events if f'"{name}"' not in source] == []


def test_deployment_names_every_limit_that_is_counted() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    (row,) = [row for row in rows("docs/deployment.md", "Metrics") if plain(row[0]) == "tether_limited_total"]
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
    wanted = "\n".join((config["options"]["install_requires"], extras["demo"], extras["test"], extras["audit"]))
    required = dict(re.findall(r"^([\w.\[\]-]+) *([^;\s]*)", wanted, re.MULTILINE))
    said = {name: plain(span) for name, span, reason in rows("docs/decisions.md", "Dependencies") if reason}
    assert said == {name: span or "any" for name, span in required.items()}
    packages = json.loads(text_of("static/package.json"))["dependencies"]
    assert [name for name in packages if f"`{name}`" not in text_of("docs/decisions.md")] == []


def test_the_developers_page_has_every_module() -> None:
    page = text_of("docs/quickstart-developer.md")
    for path in PACKAGE.rglob("*.py"):
        folder = path.parent.relative_to(PACKAGE)
        if path.name.startswith("__"):
            continue
        row = (
            page
            if folder == Path()
            else next(line for line in page.splitlines() if line.startswith(f"| `{folder}/`") or f"`{folder.name}/` (" in line)
        )
        assert f"`{path.name}`" in row, path


# ---------------------------------------------------------------------- routes, events, errors


def test_every_route_is_where_it_is_looked_for() -> None:
    readme = text_of("README.md")
    assert {f"{method} {path}" for method, path in CONTRACT.operations if f"`{method} {path}`" not in readme} == set()
    named = set(re.findall(r"`(GET|POST) (/[^`?]*)`", "".join(path.read_text() for path in DOCUMENTS)))
    assert named <= CONTRACT.operations | {("GET", "/")}
    assert "/api/calls/ingest" in text_of("docs/quickstart-vendor.md")
    assert {"/healthz", "/readyz", "/metrics"} <= set(re.findall(r"/\w+", text_of("docs/deployment.md")))


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


def test_the_protocols_page_has_every_message_field_and_close_code() -> None:
    page = text_of("docs/protocol.md")
    said = {plain(name): set(re.findall(r"`(\w+)`", data)) for name, data in rows("docs/protocol.md", "Events") if "_" in name}
    assert tuple(said) == EVENT_NAMES
    schemas = ASYNCAPI["components"]["schemas"]
    for name in EVENT_NAMES:
        payload = ASYNCAPI["components"]["messages"][name]["payload"]["$ref"].rpartition("/")[2]
        assert said[name] - {"external"} == set(schemas[payload]["properties"]["data"]["properties"])
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


def test_numbers_in_the_documents_are_the_codes() -> None:
    vendor, deployment, words = (text_of(f"docs/{name}.md") for name in ("quickstart-vendor", "deployment", "protocol"))
    limits = fetcher.Limits()
    for number in (
        storable.MAX_DEPTH,
        json_body.MAX_VALUES,
        json_body.MAX_JSON_BYTES >> 20,
        url_policy.MAX_URL_CHARS,
        limits.redirects,
        group_commit.MAX_WAITING_CALLS,
        phone.MAX_CHARS,
    ):
        assert re.search(rf"\b({number}|{number:,})\b", vendor), number
    for seconds in (limits.connect_s, limits.headers_s, limits.total_s):
        assert re.search(rf"\b{seconds:g}\b", vendor), seconds
    for number in (group_commit.MAX_BATCH_CALLS, group_commit.MAX_WAITING_CALLS, hub.MAX_RECENT_BYTES >> 20):
        assert re.search(rf"\b({number}|{number:,})\b", deployment), number
    for number in (MAX_NAME_CHARS, MAX_SUMMARY_CHARS, protocol.MAX_SEQ, int(hub.HEARTBEAT_S), wire.MAX_UNSENT_BYTES >> 20):
        assert re.search(rf"\b({number}|{number:,})\b", words), number


# ---------------------------------------------------------------------- links and commands


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
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
    for words in set(re.findall(r"tether-rt user ([a-z]+)", text)):
        group = commands.commands["user"]
        assert isinstance(group, click.Group)
        options = {option for parameter in group.commands[words].params for option in parameter.opts}
        assert {"--org", "--email", "--name", "--role"} <= options
    assert "--simulate" in text_of("run.py") + text_of("tether_rt/demo/demo.py")


def test_curl_lines_send_what_the_contract_takes() -> None:
    sent = 0
    for path in DOCUMENTS:
        for code in blocks(str(path.relative_to(ROOT)), "bash"):
            for given in re.findall(r"-d '(\{.*?\})'$", code, re.MULTILINE | re.DOTALL) if "/api/calls/ingest" in code else ():
                call = json.loads(given)
                CONTRACT.check("CallsIngestExternalCallRequest", call)
                accepted = completed_call(call, Caller("u", "o"), now=datetime.now(UTC), fingerprint="")
                assert accepted.external_call_id
                sent += 1
    assert sent == 3
