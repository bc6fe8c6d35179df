"""Settings: each from one row, and whatever is missing or wrong refused with one sentence that names its variable."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest

from tether_rt.errors import ConfigError
from tether_rt.settings import SETTINGS, Settings

R2 = {
    "R2_ACCOUNT_ID": "abc123",
    "R2_ACCESS_KEY_ID": "id",
    "R2_SECRET_ACCESS_KEY": "key",
    "R2_BUCKET": "calls",
}


def refusal(**variables: str) -> str:
    """Return the sentence with which these variables are refused."""
    with pytest.raises(ConfigError) as refused:
        Settings.from_environment(variables)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_without_any_setting_everything_has_its_default() -> None:
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 2212, Path("var"))
    assert settings.mongodb_uri is None
    assert settings.r2_endpoint is None
    assert settings == Settings()


def test_an_empty_variable_is_none_at_all() -> None:
    assert Settings.from_environment({row.variable: "" for row in SETTINGS}) == Settings()


def test_every_row_has_a_flag_a_variable_and_a_help_that_are_its_own() -> None:
    for attribute in ("name", "flag", "variable", "help"):
        values = [getattr(row, attribute) for row in SETTINGS]
        assert len(set(values)) == len(values)
    assert all(row.help and row.flag == "--" + row.name.replace("_", "-") for row in SETTINGS)


def test_what_is_secret_is_marked_so() -> None:
    secret = {row.variable for row in SETTINGS if row.secret}
    assert secret == {"MONGODB_URI", "TETHER_SECRET", "TETHER_SECRET_PREVIOUS", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"}


def test_values_are_read_as_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/tom")
    settings = Settings.from_environment(
        {
            "TETHER_HOST": " ::1 ",
            "TETHER_PORT": " 0 ",
            "TETHER_DATA_DIR": "~/calls",
            "TETHER_ALLOWED_ORIGINS": " https://desk.example/ , http://[::1]:8080,,",
            "TETHER_PRIVATE_RECORDING_HOSTS": "10.0.0.7:9000,[fd00::1]:80",
        }
    )
    assert (settings.host, settings.port, settings.data_dir) == ("::1", 0, Path("/home/tom/calls"))
    assert settings.allowed_origins == ("https://desk.example", "http://[::1]:8080")
    assert settings.private_recording_hosts == ("10.0.0.7:9000", "[fd00::1]:80")


@pytest.mark.parametrize("path", ["/tether", "/a/b/c", "/~tom/calls-2.0_x", "/...", "/apis"])
def test_a_path_in_front_has_plain_segments(path: str) -> None:
    assert Settings.from_environment({"TETHER_BASE_PATH": f" {path} "}).base_path == path


def test_a_folder_of_nobody_is_a_folder_with_a_tilde() -> None:
    assert Settings.from_environment({"TETHER_DATA_DIR": "~nobody-of-that-name/x"}).data_dir == Path("~nobody-of-that-name/x")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TETHER_PORT", "http"),
        ("TETHER_PORT", "1.5"),
        ("TETHER_PORT", "65536"),
        ("TETHER_PORT", "-1"),
        ("TETHER_BASE_PATH", "tether"),
        ("TETHER_BASE_PATH", "/"),
        ("TETHER_BASE_PATH", "/tether/"),
        ("TETHER_BASE_PATH", "/a//b"),
        ("TETHER_BASE_PATH", "//evil.example"),
        ("TETHER_BASE_PATH", "/a/../b"),
        ("TETHER_BASE_PATH", "/."),
        ("TETHER_BASE_PATH", "/a%20b"),
        ("TETHER_BASE_PATH", "/a b"),
        ("TETHER_BASE_PATH", "/a?b"),
        ("TETHER_BASE_PATH", "/é"),
        ("TETHER_BASE_PATH", "/a;Path=/"),
        ("TETHER_BASE_PATH", "https://calls.example/tether"),
        ("TETHER_BASE_PATH", "/api"),
        ("TETHER_BASE_PATH", "/docs/calls"),
        ("TETHER_MAX_BODY_MB", "0"),
        ("TETHER_MAX_RECORDING_MB", "-3"),
        ("TETHER_FEED_RETENTION_DAYS", "0"),
        ("TETHER_SHUTDOWN_S", "0"),
        ("TETHER_DRAIN_DELAY_S", "-1"),
        ("TETHER_DRAIN_DELAY_S", "3601"),
        ("TETHER_BODIES_IN_FLIGHT_MB", "47"),
        ("TETHER_DATABASE", "a.b"),
        ("TETHER_DATABASE", "x" * 39),
        ("MONGODB_URI", "localhost:27017"),
        ("TETHER_ALLOWED_ORIGINS", "desk.example"),
        ("TETHER_ALLOWED_ORIGINS", "https://desk.example/calls"),
        ("TETHER_ALLOWED_ORIGINS", "https://desk.example?x"),
        ("TETHER_ALLOWED_ORIGINS", "https://tom@desk.example"),
        ("TETHER_ALLOWED_ORIGINS", "https://["),
        ("TETHER_ALLOWED_ORIGINS", "*"),
        ("TETHER_PRIVATE_RECORDING_HOSTS", "10.0.0.7"),
        ("TETHER_PRIVATE_RECORDING_HOSTS", "http://10.0.0.7:80"),
        ("R2_ENDPOINT_URL", "r2.example"),
    ],
)
def test_a_wrong_value_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    others = {**R2, "R2_ACCOUNT_ID": ""} if variable.startswith("R2") else {}
    assert variable in refusal(**{**others, variable: value, "TETHER_SECRET": "s"})


def test_a_mongodb_of_ones_own_needs_a_secret_of_ones_own() -> None:
    sentence = refusal(MONGODB_URI="mongodb://somebody:swordfish@db.example/")
    assert sentence.startswith("TETHER_SECRET is missing")
    assert "swordfish" not in sentence
    assert Settings.from_environment({"MONGODB_URI": "mongodb://db.example/", "TETHER_SECRET": "s"}).mongodb_uri


@pytest.mark.parametrize("missing", R2)
def test_r2_needs_all_of_its_settings_or_none(missing: str) -> None:
    sentence = refusal(**{name: value for name, value in R2.items() if name != missing})
    assert missing in sentence
    assert sentence.startswith("R2 needs all of its settings or none")


def test_r2s_endpoint_is_the_one_given_or_follows_from_the_account() -> None:
    assert Settings.from_environment(R2).r2_endpoint == "https://abc123.r2.cloudflarestorage.com"
    given = Settings.from_environment({**R2, "R2_ENDPOINT_URL": "http://127.0.0.1:9000"})
    assert given.r2_endpoint == "http://127.0.0.1:9000"


# ---------------------------------------------------------------------- the generated secret


def settings_in(folder: Path, **values: Any) -> Settings:
    return Settings.from_values({"data_dir": folder, **values})


def test_a_secret_is_made_once_for_nobody_else_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    secret = settings_in(folder).resolve_secret()
    assert len(secret) >= 64
    assert settings_in(folder).resolve_secret() == secret
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert settings_in(folder, secret="given").resolve_secret() == "given"


def test_an_unfinished_secret_is_made_anew_and_one_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("\n")
    secret = settings_in(tmp_path).resolve_secret()
    path.chmod(0o400)
    assert settings_in(tmp_path).resolve_secret() == secret == path.read_text().strip()


def test_a_secret_that_cannot_be_had_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    for folder in (tmp_path / "file", tmp_path):
        with pytest.raises(ConfigError, match=r"^The secret in .* cannot be read or written: .*\.$"):
            settings_in(folder).resolve_secret()


def _resolve(folder: str) -> str:
    return Settings.from_values({"data_dir": folder}).resolve_secret()


def test_processes_that_start_together_share_one_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for number in range(10):
            assert len(set(pool.map(_resolve, [str(tmp_path / str(number))] * 8, chunksize=1))) == 1
