"""`make image`: build the image, and use a container of it as production runs it. Not collected by pytest.

It needs a container engine, and Linux: the container reaches the tests' MongoDB and S3 server on the machine's own network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.compat.use import EMAIL, PASSWORD, use
from tests.support.replica_set import ReplicaSet
from tests.support.s3 import S3Server
from tests.support.service import ROOT, SECRET

HARDENED: Final = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
STOP_S: Final = 40


class Engine:
    """Docker, or what takes its options."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, *arguments: str, **options: Any) -> str:
        """Run a command and return what it printed; raises `CalledProcessError`."""
        return str(subprocess.check_output([self.program, *arguments], text=True, **options)).strip()

    def refuses(self, *arguments: str) -> bool:
        """Say if a command fails."""
        return subprocess.run([self.program, *arguments], check=False, capture_output=True).returncode != 0


@contextmanager
def container(engine: Engine, options: list[str], variables: dict[str, str]) -> Iterator[str]:
    """Run the image until the block ends; return the container's name."""
    name = f"tether-{uuid.uuid4().hex[:8]}"
    set_variables = [f"--env={variable}={value}" for variable, value in variables.items()]
    volume = f"--volume={name}:/var/lib/tether"
    engine("run", "--detach", f"--name={name}", "--network=host", volume, *HARDENED, *set_variables, *options, "tether_rt")
    try:
        yield name
    finally:
        engine("rm", "--force", "--volumes", name)
        engine("volume", "rm", name)


def log_of(engine: Engine, name: str) -> list[dict[str, Any]]:
    """Return the lines of the container's log."""
    return [json.loads(line) for line in engine("logs", name, stderr=subprocess.STDOUT).splitlines()]


def check(engine: Engine, name: str, port: int) -> None:
    """Use the container, look at what it may do, and stop it."""
    while not any(line["event"] == "listening" for line in log_of(engine, name)):
        assert engine("inspect", "--format={{.State.Running}}", name) == "true", log_of(engine, name)
        time.sleep(0.2)
    status = engine("exec", name, "cat", "/proc/1/status")
    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert engine("exec", name, "cat", "/proc/1/cmdline").split("\0")[1:3] == ["/opt/tether/bin/tether-rt", "serve"]
    assert engine.refuses("exec", name, "touch", "/opt/tether/file")
    for folder in ("/tmp", "/var/lib/tether"):
        engine("exec", name, "touch", f"{folder}/file")
    (probe,) = json.loads(engine("inspect", "--format=[{{json .Config.Healthcheck.Test}}]", name))
    assert probe[0] == "CMD"
    engine("exec", name, *probe[1:])
    assert engine.refuses("exec", "--env=TETHER_PORT=1", name, *probe[1:])
    add = ("tether-rt", "user", "add", "--org", "Acme", "--email", EMAIL, "--name", "Ann")
    added = json.loads(engine("exec", "--interactive", name, *add, input=PASSWORD))
    asyncio.run(asyncio.wait_for(use(f"http://127.0.0.1:{port}", added["apiKey"]), 120))
    engine("stop", f"--time={STOP_S}", name)
    assert engine("inspect", "--format={{.State.ExitCode}}", name) == "0"
    assert log_of(engine, name)[-1]["event"] == "stopped"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def started(folder: Path) -> ReplicaSet:
    replica_set = ReplicaSet(folder)
    await replica_set.start()
    return replica_set


def main() -> None:
    """Build, run, check; the last line says what was proven."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.image")
    parser.add_argument("--engine", default=shutil.which("docker") or "podman")
    parser.add_argument("--build", default="", help="further options of the engine's build")
    parser.add_argument("--run", default="", help="further options of its run")
    given = parser.parse_args()
    engine = Engine(given.engine)
    os.environ.setdefault("BUILDAH_FORMAT", "docker")  # podman leaves the health check out otherwise
    subprocess.run([given.engine, "build", "--tag=tether_rt", *shlex.split(given.build), ROOT], check=True, stdout=sys.stderr)
    store = S3Server()
    store.start()
    with tempfile.TemporaryDirectory(prefix="tether-image-") as folder:
        replica_set = asyncio.run(started(Path(folder)))
        try:
            variables = {
                "TETHER_PORT": str(port := free_port()),
                "TETHER_SECRET": SECRET,
                "MONGODB_URI": replica_set.uri,
                "R2_ENDPOINT_URL": store.endpoint_url,
                "R2_ACCESS_KEY_ID": S3Server.ACCESS_KEY_ID,
                "R2_SECRET_ACCESS_KEY": S3Server.SECRET_ACCESS_KEY,
                "R2_BUCKET": store.create_bucket(),
            }
            with container(engine, shlex.split(given.run), variables) as name:
                check(engine, name, port)
        finally:
            asyncio.run(replica_set.stop())
            store.stop()
    print("The image was built; a container took a call and stopped cleanly, read-only, as user 10001.")  # noqa: T201


if __name__ == "__main__":
    main()
