"""The dashboard for Grafana: its structure, and that a real Prometheus has data for every one of its queries."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from tests.deploy.tools import DEPLOY, files, tool
from tests.support.processes import running_process
from tests.support.program import Program, program
from tests.support.service import missed, sample
from tests.support.waiting import eventually
from tests.support.webhooks import vendors_door

FILES = files("grafana/*.json")
DASHBOARD: Final[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: Final = {"$job": "tether", "$instance": ".*", "$__rate_interval": "30s"}


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Yield each query as title, expression and legend."""
    for panel in panels():
        yield from ((panel["title"], target["expr"], target["legendFormat"]) for target in panel["targets"])


def filled_in(expression: str) -> str:
    """Return an expression with a value for every variable."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = set(itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_and_asks_the_chosen_source() -> None:
    assert {panel["type"] for panel in panels()} == {"stat", "timeseries"}
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == SOURCE
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_variables_are_a_source_a_job_and_processes() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert [*variables] == ["datasource", "job", "instance"]
    assert variables["datasource"]["type"] == "datasource"
    for _, expression, _ in queries():
        assert '{job="$job", instance=~"$instance"' in expression


# ---------------------------------------------------------------------- with a real Prometheus


async def use_everything(program: Program) -> None:
    """Have the server count what a quiet one never counts: errors, a limit, a fetch, a webhook, a session that ends."""
    tenant = await program.tenant(role="admin")
    dashboard = await tenant.dashboard()
    call = sample()
    for body, status in ((call, 201), (call, 200), (b"{", 400), (missed(), 201)):
        assert (await tenant.post_call(body)).status == status
    async with gone() as url:
        assert (await tenant.post_call(sample(voice=False, recording=url))).status == 400
    door = await vendors_door(tenant, "vapi")
    assert (await tenant.request("POST", door.path, json={})).status == 401
    while (await tenant.post_call(missed())).status != 429:
        pass
    assert (await tenant.post("/api/auth/logout")).status == 200
    await dashboard.socket.receive(20)


@asynccontextmanager
async def gone() -> AsyncIterator[str]:
    """Run a host that answers 410, at the address that the server may fetch from; yield an address there."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", GONE_PORT) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/recording.mp3"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


GONE_PORT: Final = free_port()


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[str]:
    """Run Prometheus with the rules and the example of a configuration, on one target; yield its address."""
    (folder / "rules.yaml").write_bytes((DEPLOY / "prometheus" / "rules.yaml").read_bytes())
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = ("--config.file=prometheus.yaml", "--storage.tsdb.path=data", f"--web.listen-address={address}")
    with (folder / "log").open("wb") as log:
        async with running_process(tool("prometheus"), *options, cwd=folder, stdout=log, stderr=log):
            yield f"http://{address}"


async def test_prometheus_has_data_for_every_query(tmp_path: Path, mongodb_uri: str) -> None:
    variables = {"TETHER_RATE_LIMIT": "1", "TETHER_PRIVATE_RECORDING_HOSTS": f"127.0.0.1:{GONE_PORT}"}
    (tmp_path / "prometheus").mkdir()
    async with program(tmp_path, mongodb_uri, variables=variables) as running:
        await use_everything(running)
        async with prometheus(tmp_path / "prometheus", running.server.url.removeprefix("http://")) as address:

            async def ask(expression: str) -> list[dict[str, Any]]:
                async with running.http.get(f"{address}/api/v1/query", params={"query": filled_in(expression)}) as answer:
                    body = await answer.json()
                assert body["status"] == "success", (expression, body)
                found: list[dict[str, Any]] = body["data"]["result"]
                return found

            async def scraped() -> bool:
                try:
                    async with running.http.get(f"{address}/-/ready") as answer:
                        is_ready = answer.status == 200
                except aiohttp.ClientError:
                    return False
                return is_ready and bool(await ask("count_over_time(tether_ready[1m]) > 2"))

            await eventually(scraped)
            without = []
            for title, expression, legend in queries():
                found = await ask(expression)
                wanted = set(re.findall(r"{{(\w+)}}", legend))
                if not found or any(wanted - set(one["metric"]) for one in found):
                    without.append((title, expression))
            assert without == []
            for annotation in DASHBOARD["annotations"]["list"]:
                await ask(annotation["expr"])
            async with running.http.get(f"{address}/api/v1/rules") as answer:
                (group,) = (await answer.json())["data"]["groups"]
            assert [rule["health"] for rule in group["rules"]] == ["ok"] * len(group["rules"])
            for rule in group["rules"]:
                for selector in re.findall(r"\w+{[^}]*}", rule["query"]):
                    metric = re.sub(r', (outcome|cause|part)="\w+"', "", selector)
                    assert await ask(metric), selector
