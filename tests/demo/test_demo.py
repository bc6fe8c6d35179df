from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import ROOT

LABELS = {"Dashboard": "url", "E-mail": "email", "Password": "password", "API key": "key"}


class Demo:
    """`run.py` as a newcomer starts it, and what it prints."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("R2_", "MONGODB_"))}
        self.log = (folder / "stderr.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "run.py", "--port", "0", *arguments],
            cwd=folder,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        self.text = ""
        while "Ctrl-C" not in self.text:
            line = self.process.stdout.readline()
            assert line, (folder / "stderr.log").read_text()
            self.text += line
        for label, name in LABELS.items():
            found = re.search(rf"^ +{label} +(\S+)$", self.text, re.MULTILINE)
            assert found, self.text
            setattr(self, name, found[1])
        self.curl = next(line.strip() for line in self.text.splitlines() if line.startswith("  curl "))

    url: str
    email: str
    password: str
    key: str

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.log.close()

    def ask(self, path: str, token: str = "", body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url.rstrip("/") + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def sign_in(self) -> str:
        return str(self.ask("/api/auth/login", body={"email": self.email, "password": self.password})["token"])


@contextmanager
def demo(folder: Path, *arguments: str, **variables: str) -> Iterator[Demo]:
    started = Demo(folder, *arguments, **variables)
    try:
        yield started
    finally:
        started.stop()


def paste(line: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def processes_in(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.fsencode(folder) in command:
                found.append(command.decode())
    return found


def test_a_newcomer_signs_in_pastes_the_line_and_finds_the_call_again_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    with demo(folder) as first:
        pasted = [paste(first.curl, tmp_path) for _ in range(2)]
        assert all(answer["success"] for answer in pasted)
        assert pasted[0]["callId"] != pasted[1]["callId"]
        token = first.sign_in()
        history = first.ask("/api/calls/history", token)
        assert history["total"] == 2
        assert {call["callId"] for call in history["calls"]} == {answer["callId"] for answer in pasted}
        recording = first.ask(f"/api/calls/{pasted[0]['callId']}/recording", token)
        address = recording["audioUrl"]
        with urllib.request.urlopen(address if "://" in address else first.url.rstrip("/") + address, timeout=60) as audio:
            assert audio.read() == (ROOT / "tether_rt/demo/samples/appointment.mp3").read_bytes()
        assert first.stop() == 0
    assert not processes_in(folder)
    with demo(folder) as second:
        assert (second.email, second.password, second.key) == (first.email, first.password, first.key)
        assert second.ask("/api/calls/history", second.sign_in())["total"] == 2
        assert second.ask("/api/auth/verify-token", token) == {"message": "Token is good"}
        assert second.stop(signal.SIGTERM) == 0
    assert not processes_in(folder)


def test_simulated_calls_arrive_spoken_ones_first(tmp_path: Path) -> None:
    with demo(tmp_path, "--simulate", "300") as running:
        assert "300 sample calls a minute" in running.text
        token = running.sign_in()
        calls: list[dict[str, Any]] = []
        while len(calls) < 4:
            calls = running.ask("/api/calls/history?limit=200", token)["calls"]
        assert calls[-1]["status"] == "completed"
        assert calls[-1]["recordings"]
        assert running.stop() == 0
    log = [json.loads(line) for line in (tmp_path / "var/server.log").read_text().splitlines()]
    assert {line["status"] for line in log if line["event"] == "simulated_call"} == {201}


def test_what_is_set_for_production_is_left_alone_and_a_lost_secret_is_mended(tmp_path: Path) -> None:
    production = {"MONGODB_URI": "mongodb://production.invalid", "R2_BUCKET": "production"}
    with demo(tmp_path, **production) as first:
        assert paste(first.curl, tmp_path)["success"]
    (tmp_path / "var/secret").unlink()
    with demo(tmp_path, **production) as second:
        assert second.password != first.password
        assert paste(second.curl, tmp_path)["success"]
        assert second.ask("/api/calls/history", second.sign_in())["total"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--simulate", "-1"], "Error: Invalid value for '--simulate': -1 is not in the range 0<=x<=3000."),
        (["--simulate", "many"], "Error: Invalid value for '--simulate': 'many' is not a valid integer range."),
        (["--colour", "red"], "Error: No such option '--colour'."),
        (["--port", "x"], "Error: TETHER_PORT must be a whole number, not 'x'."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence + "\n")
    assert not list(tmp_path.iterdir())


def test_a_demo_that_cannot_introduce_itself_stops_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "var/sample-call.json").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", "--port", "0"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"Error: The demo cannot write {tmp_path}/var/sample-call.json: Is a directory."
    assert not processes_in(tmp_path)


def test_a_python_without_the_dependencies_is_told_of_make_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "run.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert re.fullmatch(r"Error: this Python cannot run tether_rt \(.*\); `make run` .*\.\n", done.stderr)
