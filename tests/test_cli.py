from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.program import program
from tests.support.service import SECRET, missed
from tests.support.waiting import eventually
from tether_rt import accounts
from tether_rt.auth import credentials
from tether_rt.cli import commands, status_of
from tether_rt.mongo import mongod_process
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.settings import SETTINGS, Settings

VARIABLES = {row.variable for row in SETTINGS}
ADD = ("user", "add", "--org", "Acme", "--email", "ann@acme.example", "--name", "Ann")


def run(*arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES - {"TETHER_MONGOD"}}
    done = subprocess.run(
        [sys.executable, "-m", "tether_rt", *arguments],
        input=stdin,
        capture_output=True,
        env={**environment, "COLUMNS": "200", **(variables or {})},
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def at(data_dir: Path) -> dict[str, str]:
    return {"TETHER_DATA_DIR": str(data_dir)}


@pytest.fixture
def shared(mongodb_uri: str, tmp_path: Path) -> dict[str, str]:
    """The variables of a new database on the tests' mongod."""
    return {
        "MONGODB_URI": mongodb_uri,
        "TETHER_DATABASE": f"t{uuid.uuid4().hex[:12]}",
        "TETHER_SECRET": SECRET,
        "TETHER_DATA_DIR": str(tmp_path),
    }


def refusal(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """Return the sentence of a command that refused, after checking that it printed nothing else."""
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("Error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["bogus"], "No such command 'bogus'."),
        (["serve", "--colour", "red"], "No such option '--colour'."),
        (["serve", "now"], "Got unexpected extra argument (now)"),
        (["serve", "--port"], "Option '--port' requires an argument."),
        (["serve", "--port", "many"], "TETHER_PORT must be a whole number, not 'many'."),
        (["serve", "--tether-port", "many"], "TETHER_PORT must be a whole number, not 'many'."),
        (["serve", "--port", "70000"], "TETHER_PORT must be between 0 and 65535, not 70000."),
        (["user", "add"], "Missing option '--org'."),
        ([*ADD, "--role", "boss"], "The role must be one of admin, agent, viewer, not 'boss'."),
        ([*ADD, "--email", "ann"], "The email address must look like name@example.com, not 'ann'."),
        ([*ADD, "--org", " "], "The organization and the user each need a name."),
        (["serve", "--r2-bucket", "b"], "R2 needs all of its settings or none"),
        (["serve", "--rate-limit", "fast"], "TETHER_RATE_LIMIT must be a number, not 'fast'."),
        (["serve", "--rate-limit", "-1"], "TETHER_RATE_LIMIT must be a number of calls a second, or 0 for no limit"),
        (["serve", "--rate-limit", "nan"], "TETHER_RATE_LIMIT must be a number of calls a second, or 0 for no limit"),
        (["serve", "--max-dashboards-per-user", "0"], "TETHER_MAX_DASHBOARDS_PER_USER must be 1 or more, not 0."),
        (["serve", "--trusted-proxies", "10.0.0.0/8,proxy"], "TETHER_TRUSTED_PROXIES must hold addresses or networks"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    status = status_of(commands, "tether-rt", arguments)
    assert sentence in refusal(subprocess.CompletedProcess(arguments, status, *capsys.readouterr()))


def test_a_variable_is_refused_as_its_flag_is() -> None:
    assert refusal(run("serve", variables={"TETHER_PORT": "many"})) == "TETHER_PORT must be a whole number, not 'many'."
    assert "TETHER_SECRET is missing" in refusal(run("serve", variables={"MONGODB_URI": "mongodb://localhost"}))
    assert "must start with mongodb://" in refusal(
        run("indexes", variables={"MONGODB_URI": "localhost", "TETHER_SECRET": "x" * 40})
    )


def test_every_setting_is_in_the_help_with_its_variable_and_default() -> None:
    shown = " ".join(run("serve", "--help").stdout.split())
    for row in SETTINGS:
        assert row.flag + " " in shown
        default = ",".join(row.default) if isinstance(row.default, tuple) else row.default
        assert f"[{row.variable}; default: {'none' if default in ('', None) else default}]" in shown


def test_a_secret_from_the_environment_is_never_shown() -> None:
    secrets = {row.variable: f"s3cr3t-{row.name}" for row in SETTINGS if row.secret}
    for arguments in (["serve", "--help"], ["serve"], ["user", "add", "--help"], ["indexes"]):
        done = run(*arguments, variables=secrets)
        assert "s3cr3t" not in done.stdout + done.stderr


def test_without_a_command_it_shows_the_help() -> None:
    done = run()
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("serve", "user", "indexes"))


def test_user_add_prints_one_line_of_json_and_stores_only_hashes(tmp_path: Path) -> None:
    done = run(*ADD, "--role", "admin", stdin="gråsten gråsten\n".encode(), variables=at(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    added = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert set(added) == {"userId", "organizationId", "apiKey"}
    assert credentials.looks_like_api_key(added["apiKey"])
    files = b"".join(path.read_bytes() for path in (tmp_path / "mongod/db").rglob("*") if path.is_file())
    assert added["userId"].encode() in files
    assert added["apiKey"].encode() not in files
    assert "gråsten gråsten".encode() not in files


def test_user_add_refuses_an_address_that_is_taken(shared: dict[str, str]) -> None:
    assert run(*ADD, stdin=b"purple lantern seven\n", variables=shared).returncode == 0
    again = run("user", "add", "--org", "Other", "--email", "ANN@acme.example", "--name", "A", stdin=b"x\n", variables=shared)
    assert refusal(again) == "There is already a user with the address ANN@acme.example."


async def test_user_add_joins_the_mongod_that_a_server_runs(tmp_path: Path) -> None:
    settings = Settings.from_values({"data_dir": tmp_path})
    async with accounts.opened(settings) as database:
        added = []
        for number in range(2):
            done = run(*ADD, "--email", f"{number}@acme.example", stdin=b"purple lantern seven\n", variables=at(tmp_path))
            assert (done.returncode, done.stderr) == (0, "")
            added.append(json.loads(done.stdout))
        assert added[0]["organizationId"] == added[1]["organizationId"]
        user: dict[str, Any] | None = await database["users"].find_one({"_id": added[1]["userId"]})
        assert user is not None
        assert (user["email"], user["fullName"], user["accessRole"]) == ("1@acme.example", "Ann", "agent")
        assert credentials.password_matches("purple lantern seven", user["passwordHash"])
        assert user["apiKeyDigest"] == credentials.api_key_digest(added[1]["apiKey"])
        assert credentials.Keyring(settings.resolve_secret()).unseal(user["apiKeySealed"]) == added[1]["apiKey"]
        assert await database["counters"].find_one() == {"_id": user["organizationId"], "seq": 0}


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\r\n"])
def test_user_add_refuses_an_empty_password(tmp_path: Path, stdin: bytes) -> None:
    done = run(*ADD, stdin=stdin, variables=at(tmp_path))
    assert refusal(done) == "The password is missing: give it as one line on standard input."
    assert not list(tmp_path.iterdir())


def test_user_add_refuses_a_password_that_is_not_text(tmp_path: Path) -> None:
    done = run(*ADD, stdin=b"\xff\n", variables=at(tmp_path))
    assert refusal(done) == "The password on standard input is not UTF-8 text."


def test_user_add_prompts_in_a_terminal_without_echo(shared: dict[str, str]) -> None:
    terminal, stdin = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tether_rt", *ADD],
        env={**os.environ, **shared},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # away from the terminal in which the tests run
    )
    assert process.stderr is not None
    try:
        said = b""
        for question in (b"Password:", b"confirmation:"):
            while question not in said:
                piece = os.read(process.stderr.fileno(), 1000)
                assert piece, said
                said += piece
            while termios.tcgetattr(terminal)[3] & termios.ECHO:  # input that is typed before echo is off is discarded
                time.sleep(0.01)
            os.write(terminal, b"purple lantern seven\n")
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        assert set(json.loads(stdout)) == {"userId", "organizationId", "apiKey"}
        assert b"hunter2" not in said + stderr
    finally:
        process.kill()
        process.communicate()
        os.close(stdin)
        os.close(terminal)


async def test_indexes_makes_them_and_can_be_repeated(shared: dict[str, str]) -> None:
    for days in ("3", "5"):
        done = run("indexes", "--feed-retention-days", days, variables=shared)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    async with accounts.opened(Settings.from_environment(shared)) as database:
        assert "email_1" in await database["users"].index_information()
        assert (await database["feed"].index_information())["retention"]["expireAfterSeconds"] == 5 * 86_400


async def test_the_search_index_is_emptied_on_request_alone(shared: dict[str, str]) -> None:
    assert run("indexes", variables=shared).returncode == 0
    async with accounts.opened(Settings.from_environment(shared)) as database:
        await database["search"].insert_one({"_id": "a"})
        await database["search_positions"].insert_one({"_id": "o", "seq": 3, "version": 1})
        for more, left in (((), 1), (("--rebuild-search",), 0)):
            assert run("indexes", *more, variables=shared).returncode == 0
            assert await database["search"].count_documents({}) == left
            assert await database["search_positions"].count_documents({}) == left


async def test_a_user_added_later_leaves_the_feeds_retention_alone(shared: dict[str, str]) -> None:
    assert run("indexes", "--feed-retention-days", "30", variables=shared).returncode == 0
    assert run(*ADD, stdin=b"purple lantern seven\n", variables=shared).returncode == 0
    async with accounts.opened(Settings.from_environment(shared)) as database:
        assert (await database["feed"].index_information())["retention"]["expireAfterSeconds"] == 30 * 86_400


async def test_a_user_added_before_the_new_servers_start_leaves_retention_alone(shared: dict[str, str]) -> None:
    """The database is that of an earlier version, which had no read tokens."""
    days = ("--feed-retention-days", "30", "--audit-retention-days", "3650")
    assert run("indexes", *days, variables=shared).returncode == 0
    async with accounts.opened(Settings.from_environment(shared)) as database:
        await database.drop_collection("tokens")
        assert run(*ADD, stdin=b"purple lantern seven\n", variables=shared).returncode == 0
        assert "digest_1" in await database["tokens"].index_information()
        for collection, kept_days in (("feed", 30), ("audit", 3650)):
            information = await database[collection].index_information()
            assert information["retention"]["expireAfterSeconds"] == kept_days * 86_400


def test_a_mongodb_that_is_not_there_or_not_a_replica_set_is_said(tmp_path: Path) -> None:
    away = {"MONGODB_URI": "mongodb://127.0.0.1:1", "TETHER_SECRET": "x" * 40}
    assert refusal(run("indexes", variables=away)) == "MONGODB_URI cannot be reached: is MongoDB running at that address?"

    socket = tmp_path / "alone.sock"
    with (tmp_path / "log").open("wb") as log:
        alone = subprocess.Popen(
            [mongod_process.find_binary(), "--dbpath", str(tmp_path), "--bind_ip", str(socket)], stdout=log, stderr=log
        )
    try:
        address = {**away, "MONGODB_URI": f"mongodb://{quote(str(socket), safe='')}"}
        sentence = refusal(run("indexes", variables=address))
        while sentence.startswith("MONGODB_URI cannot be reached"):  # it is still starting
            assert alone.poll() is None
            sentence = refusal(run("indexes", variables=address))
        assert sentence.startswith("MONGODB_URI is not a replica set: ")
    finally:
        alone.kill()
        alone.wait()


async def test_a_private_mongod_that_cannot_start_is_said(tmp_path: Path) -> None:
    assert "TETHER_MONGOD names /nowhere" in refusal(run("indexes", variables=at(tmp_path) | {"TETHER_MONGOD": "/nowhere"}))
    private = PrivateMongod(tmp_path)  # nothing was left locked
    await private.start()
    await private.stop()


def replayed(variables: Mapping[str, str], *options: str) -> list[dict[str, Any]]:
    done = run("replay", "--org", "Acme", *options, variables=variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_replaying_from_the_command_line_prints_what_became_of_each(shared: dict[str, str], tmp_path: Path) -> None:
    async with program(tmp_path, shared["MONGODB_URI"], variables=shared) as running:
        admin = await running.tenant("Acme", role="admin")
        for call, headers in ((missed(), {"Content-Type": "text/plain"}), (missed(fromNumber="?"), {})):
            assert (await admin.post_call(call, headers=headers)).status in (400, 415)

        async def are_kept() -> bool:
            return bool((await admin.get("/api/deliveries")).body["total"] == 2)

        await eventually(are_kept)
        newer, older = (await admin.get("/api/deliveries")).body["deliveries"]
        assert await asyncio.to_thread(replayed, shared, "--verdict", "created") == []
        assert await asyncio.to_thread(replayed, shared, "--source", "0" * 24) == []
        assert await asyncio.to_thread(replayed, shared, "--from", "2999-01-01T00:00:00Z") == []
        lines = await asyncio.to_thread(replayed, shared, "--from", older["at"])
        (call,) = (await admin.get("/api/calls/history")).body["calls"]
        assert lines == [
            {"deliveryId": older["id"], "verdict": "created", "callId": call["callId"]},
            {"deliveryId": newer["id"], "verdict": "refused", "callId": None},
        ]
        shown = (await admin.get(f"/api/deliveries/{older['id']}")).body["delivery"]
        assert shown["attempts"][-1]["by"] == "command"
        assert "no organization named" in refusal(run("replay", "--org", "Nobody", variables=shared))
        assert "--from must be" in refusal(run("replay", "--org", "Acme", "--from", "yesterday", variables=shared))
        assert "The verdict must be one of" in refusal(run("replay", "--org", "Acme", "--verdict", "x", variables=shared))
