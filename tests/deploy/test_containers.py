"""The image and the compose files: what their tools and the server's own settings say of them. `make image` runs the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import files, passes
from tests.support.documents import ROOT, text_of
from tether_rt.settings import SETTINGS, Settings

FILES = files("tether.env.example")
COMPOSE = [ROOT / "compose.yaml", ROOT / "compose.prod.yaml"]
VARIABLES = {row.variable for row in SETTINGS}
CLOSING_S = 5


def services(path: Path) -> dict[str, Any]:
    """Return the services of a compose file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())["services"]
    return found


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", text_of("Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, value.strip()) for name, value in re.findall(r"^([A-Z]+) +(.*)$", text, re.MULTILINE)]


def example_settings() -> dict[str, str]:
    """Return what is set in the example of the environment file."""
    text = text_of("deploy/tether.env.example")
    return dict(re.findall(r"^([A-Z0-9_]+)='?(.*?)'?$", text, re.MULTILINE))


def test_the_dockerfile_is_clean() -> None:
    passes("hadolint", "--failure-threshold", "info", "Dockerfile")


def test_the_image_runs_without_root_a_shell_and_downloads() -> None:
    last = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
    of = dict(last)
    assert of["USER"] == "10001:10001"
    assert (of["ENTRYPOINT"], of["CMD"], of["STOPSIGNAL"]) == ('["tether-rt"]', '["serve"]', "SIGTERM")
    assert re.search(r'CMD \["python", "-Ic", ".*/healthz', of["HEALTHCHECK"])
    assert [value for name, value in last if name == "COPY"] == ["--from=build /opt/tether /opt/tether"]
    assert "ADD" not in dict(instructions())
    assert set(re.findall(r"\b(?:TETHER|R2|MONGODB)_[A-Z0-9_]+", text_of("Dockerfile"))) <= VARIABLES


def test_the_image_has_the_versions_that_were_tested() -> None:
    text = text_of("Dockerfile")
    assert "PIP_CONSTRAINT=/src/constraints.txt" in text
    assert "npm ci" in text
    assert [value for name, value in instructions() if name == "FROM"] == ["debian:trixie-slim AS build", "debian:trixie-slim"]


def test_the_image_is_made_of_the_sources_alone() -> None:
    ignored = text_of(".dockerignore").splitlines()
    assert ignored[1] == "*"
    sources = [ROOT / line[1:] for line in ignored if line.startswith("!")]
    assert all(path.exists() for path in sources)
    links = [path.resolve() for path in (ROOT / "tether_rt").iterdir() if path.is_symlink()]
    assert all(any(link.is_relative_to(path) for path in sources) for link in links), "they lead somewhere in the image, too"


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_fit_the_specification(path: Path) -> None:
    passes("check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_set_nothing_that_does_not_exist_and_publish_nothing(path: Path) -> None:
    for name, service in services(path).items():
        if name in ("tether", "bucket"):
            assert set(service.get("environment", {})) <= VARIABLES
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    server = services(path)["tether"]
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert server["volumes"] == ["data:/var/lib/tether"]
    assert server["tmpfs"][0].startswith("/tmp")
    defaults = Settings()
    assert int(server["stop_grace_period"].rstrip("s")) > defaults.drain_delay_s + defaults.shutdown_s + CLOSING_S


def test_the_store_for_development_has_one_name_for_the_server_and_the_browser() -> None:
    parts = services(ROOT / "compose.yaml")
    url = parts["tether"]["environment"]["R2_ENDPOINT_URL"]
    host, _, port = url.removeprefix("http://").partition(":")
    assert host.endswith(".localhost")
    assert parts["s3"]["networks"]["default"]["aliases"] == [host]
    assert parts["s3"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    waits_for = {name: wait["condition"] for name, wait in parts["tether"]["depends_on"].items()}
    assert waits_for == {"mongodb": "service_healthy", "bucket": "service_completed_successfully"}
    assert all("healthcheck" in parts[name] for name in ("mongodb", "s3"))


def test_secrets_for_development_say_so_and_production_has_none() -> None:
    server = services(ROOT / "compose.yaml")["tether"]["environment"]
    assert "development" in server["TETHER_SECRET"]
    assert "development" in server["R2_SECRET_ACCESS_KEY"]
    production = services(ROOT / "compose.prod.yaml")["tether"]
    secret = {row.variable for row in SETTINGS if row.secret}
    assert secret & set(production["environment"]) == set()
    assert production["env_file"] == "tether.env"
    assert "tether.env" in text_of(".gitignore").splitlines()


def test_the_example_of_an_environment_file_starts_a_server_once_it_is_filled_in() -> None:
    values = example_settings()
    assert set(values) <= VARIABLES
    settings = Settings.from_environment({name: value or "10.0.0.10" for name, value in values.items()})
    assert settings.mongodb_uri == values["MONGODB_URI"]
    assert settings.r2_endpoint
