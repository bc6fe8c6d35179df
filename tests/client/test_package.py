"""The package as its users have it: built, installed outside the checkout, and used as its README says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.documents import ROOT, blocks
from tests.support.service import SAMPLES, Service, missed, sample
from tests.test_wheel import NOT_SOURCE, environment_with

README = "clients/python/README.md"
BUILD = "from setuptools import build_meta as build; build.build_wheel('dist'); build.build_sdist('dist')"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist, built from a copy so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source") / "python"
    shutil.copytree(ROOT / "clients/python", source, ignore=NOT_SOURCE)
    subprocess.run([sys.executable, "-c", BUILD], cwd=source, check=True, capture_output=True, timeout=120)
    return source / "dist"


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the package."""
    (wheel,) = built.glob("*.whl")
    return environment_with(wheel, tmp_path_factory.mktemp("environment")) / "python"


def test_it_holds_the_package_its_types_and_its_licence(built: Path) -> None:
    names = zipfile.ZipFile(built / "tether_rt_client-0.1.0-py3-none-any.whl").namelist()
    modules = {path.name for path in (ROOT / "clients/python/src/tether_rt_client").iterdir() if path.is_file()}
    assert {name for name in names if name.startswith("tether_rt_client/")} == {f"tether_rt_client/{name}" for name in modules}
    assert "py.typed" in modules
    assert any(name.endswith("licenses/LICENSE") for name in names)
    with tarfile.open(built / "tether_rt_client-0.1.0.tar.gz") as source:
        assert {"tether_rt_client-0.1.0/README.md", "tether_rt_client-0.1.0/LICENSE"} <= set(source.getnames())


async def test_the_programs_of_its_readme_send_and_follow(python: Path, service_on_disk: Service, tmp_path: Path) -> None:
    tenant = await service_on_disk.tenant()
    shutil.copy(SAMPLES / "appointment.mp3", tmp_path / "call.mp3")

    async def start(code: str) -> asyncio.subprocess.Process:
        code = code.replace("https://calls.example.com", tenant.base_url)
        code = code.replace("tk_live_...", tenant.api_key).replace("tr_live_...", tenant.token)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return await asyncio.create_subprocess_exec(
            *(python, "-u", "-c", code), cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        )

    send, follow = blocks(README, "python")
    follower = await start(follow.replace("main(None)", 'main("0")'))
    sender = await start(send)
    out, _ = await sender.communicate()
    assert sender.returncode == 0
    call_id, deduplicated, _ = out.decode().split(" ", 2)
    assert deduplicated == "False"
    assert follower.stdout is not None
    assert await follower.stdout.readline() == f"{call_id} completed 154\n".encode()
    follower.terminate()
    await follower.communicate()


async def test_a_script_sends_with_one_call(python: Path, service_on_disk: Service, tmp_path: Path) -> None:
    tenant = await service_on_disk.tenant()
    calls = [missed(), sample()]
    code = (
        "import json, sys, tether_rt_client as t\n"
        "for call in json.load(sys.stdin): print(t.send(sys.argv[1], call, api_key=sys.argv[2]).call_id)"
    )
    process = await asyncio.create_subprocess_exec(
        *(python, "-c", code, tenant.base_url, tenant.api_key),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps(calls).encode())
    assert process.returncode == 0
    rows = (await tenant.get("/api/calls/history")).body["calls"]
    assert sorted(out.decode().split()) == sorted(row["callId"] for row in rows)
