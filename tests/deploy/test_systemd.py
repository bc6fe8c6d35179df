"""The systemd units: systemd reads them, finds nothing wrong, and says how much they let the server do."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

from tests.deploy.tools import DEPLOY, files, passes
from tests.support.documents import blocks
from tether_rt.settings import Settings

FILES = files("systemd/tether.service", "systemd/tether@.service.d/*.conf")
UNIT = DEPLOY / "systemd" / "tether.service"
EXPOSURE = 15
"""In tenths of systemd's scale from 0 to 10, on which a service without any restriction has 9.6."""


def installed(folder: Path) -> Path:
    """Write the units into a folder as an operator installs them, with a program that exists; return the instance's path."""
    text = UNIT.read_text()
    assert "ExecStart=/opt/tether/bin/tether-rt serve\n" in text
    text = text.replace("/opt/tether/bin/tether-rt", f"{sys.executable} -m tether_rt")
    for name in ("tether.service", "tether@.service"):
        (folder / name).write_text(text)
    drop_in = folder / "tether@.service.d"
    drop_in.mkdir()
    (drop_in / "port.conf").write_bytes((DEPLOY / "systemd" / "tether@.service.d" / "port.conf").read_bytes())
    return folder / "tether@2212.service"


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    instance = installed(tmp_path)
    for path in (tmp_path / "tether.service", instance):
        assert passes("systemd-analyze", "--man=no", "verify", path) == ""


def test_the_server_may_do_little(tmp_path: Path) -> None:
    installed(tmp_path)
    unit = tmp_path / "tether.service"
    passes("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", unit)


def test_it_is_stopped_after_it_has_stopped_by_itself() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(UNIT)
    defaults = Settings()
    assert unit.getint("Service", "TimeoutStopSec") > defaults.drain_delay_s + defaults.shutdown_s + 5
    assert unit["Service"]["Type"] == "notify"


def test_the_documents_have_no_copy_of_a_unit() -> None:
    assert blocks("docs/deployment.md", "ini") == []
