"""The vendor's guide at `/docs/vendor`: its commands are run as a reader runs them, and answered as the page says."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import pytest

from tests.conftest import settings_on
from tests.support.service import ROOT, SAMPLES, Service, Tenant, missed, running
from tests.support.waiting import eventually
from tether_rt.errors import Code

PAGE: Final = ROOT / "static/vendor_guide.html"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Example(NamedTuple):
    """A command of the page, and the status and answer that it shows."""

    name: str
    command: str
    status: int
    answer: Any


class Mistake(NamedTuple):
    """One of the usual mistakes."""

    name: str
    sent: str
    code: str
    said: str


class _Page(HTMLParser):
    """Collects the texts of `pre` elements, and the parts of the mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[dict[str, str | None], str]] = []
        self.mistakes: dict[str, dict[str, str]] = {}
        self._into: tuple[str, str] | None = None
        """The tag and the part of a mistake that is being read."""
        self._is_block = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "pre":
            self._is_block = True
            self.blocks.append((attributes, ""))
        if name := attributes.get("data-mistake"):
            self.mistakes[name] = {}
        if part := attributes.get("data-part"):
            self._into = tag, part

    def handle_endtag(self, tag: str) -> None:
        self._is_block = self._is_block and tag != "pre"
        if self._into is not None and tag == self._into[0]:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._is_block:
            attributes, text = self.blocks[-1]
            self.blocks[-1] = attributes, text + data
        if self._into is not None:
            parts = list(self.mistakes.values())[-1]
            parts[self._into[1]] = parts.get(self._into[1], "") + data


def _read() -> tuple[list[Example], list[Mistake]]:
    page = _Page()
    page.feed(PAGE.read_text())
    examples = [
        Example(
            str(command[0]["id"]).removeprefix("run-"), command[1], int(answer[0]["data-status"] or 0), json.loads(answer[1])
        )
        for command, answer in zip(page.blocks, page.blocks[1:], strict=False)
        if command[0].get("class") == "run"
    ]
    return examples, [Mistake(name, **parts) for name, parts in page.mistakes.items()]


EXAMPLES, MISTAKES = _read()


@pytest.fixture(scope="module")
async def alone(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A server of this module's own."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("guide"))) as service:
        yield service


async def _run(command: str, folder: Path, tenant: Tenant) -> tuple[int, Any]:
    """Run a command in `folder` and return the status and the answer."""
    variables = {"TETHER_URL": tenant.base_url, "TETHER_API_KEY": tenant.api_key, "CURL_HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", command, cwd=folder, env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    answer, _, status = out.decode().rpartition("\n")
    return int(status), json.loads(answer)


def _require_alike(said: Any, is_: Any, place: str = "answer") -> None:
    """Compare an answer with what the page says of it: ids and times are examples, and `…` stands for any text."""
    if isinstance(said, dict):
        assert isinstance(is_, dict), place
        assert said.keys() == is_.keys(), place
        for name, value in said.items():
            _require_alike(value, is_[name], f"{place}.{name}")
    elif isinstance(said, list):
        assert isinstance(is_, list), place
        assert len(said) == len(is_), place
        for at, (one, other) in enumerate(zip(said, is_, strict=True)):
            _require_alike(one, other, f"{place}[{at}]")
    elif isinstance(said, str) and re.fullmatch(r"[0-9a-f]{16,64}|\d{4}-\d\d-\d\dT.*Z", said):
        assert isinstance(is_, str), place
    elif isinstance(said, str):
        assert isinstance(is_, str), place
        assert re.fullmatch(re.escape(said).replace("…", ".*"), is_), (place, said, is_)
    elif not place.endswith("bytes"):
        assert said == is_, place


async def test_every_command_is_answered_as_the_page_says(alone: Service, tmp_path: Path) -> None:
    tenant = await alone.tenant()
    (tmp_path / ".curlrc").write_text('write-out = "\\n%{http_code}"')
    (tmp_path / "call.mp3").write_bytes((SAMPLES / "appointment.mp3").read_bytes())
    await tenant.post_call(missed(fromNumber="4165550142"))  # what the list of refusals shows

    async def is_kept() -> bool:
        listed = await tenant.request("GET", "/api/deliveries", token=tenant.api_key)
        return bool(listed.body["total"] == 1)

    await eventually(is_kept)
    for example in EXAMPLES:
        status, answer = await _run(example.command, tmp_path, tenant)
        assert status == example.status, (example.name, answer)
        _require_alike(example.answer, answer, example.name)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
async def test_each_mistake_is_answered_as_the_page_says(alone: Service, mistake: Mistake) -> None:
    tenant = await alone.tenant()
    call = missed()
    path, headers = "/api/calls/ingest", {"Authorization": f"Bearer {tenant.api_key}", "Content-Type": "application/json"}
    if mistake.name == "key":
        headers = {"X-API-Key": tenant.api_key, "Content-Type": "application/json"}
    elif mistake.name == "form":
        headers |= _FORM
    elif mistake.name == "slash":
        path += "/"
    else:
        fragment = json.loads("{" + mistake.sent.partition(" without")[0] + "}")
        if "from_number" in fragment:
            del call["fromNumber"]
        call |= fragment
    answer = await tenant.request("POST", path, data=json.dumps(call), headers=headers)
    faults = answer.body.get("errors", [answer.body])
    pattern = re.escape(mistake.said).replace("…", ".*")
    assert any(fault["code"] == mistake.code and re.fullmatch(pattern, fault["error"]) for fault in faults), answer.body


def test_there_are_ten_mistakes_and_their_codes_exist() -> None:
    assert len(MISTAKES) == 10
    assert {mistake.code for mistake in MISTAKES} <= set(get_args(Code))
