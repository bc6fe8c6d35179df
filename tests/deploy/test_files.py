"""Every file under `deploy/` is checked by a tool."""

from __future__ import annotations

from tests.deploy import test_containers, test_grafana, test_kubernetes, test_prometheus, test_systemd
from tests.deploy.tools import DEPLOY


def test_every_file_is_checked_by_a_tool() -> None:
    checked = {
        *test_containers.FILES,
        *test_grafana.FILES,
        *test_kubernetes.FILES,
        *test_prometheus.FILES,
        *test_systemd.FILES,
    }
    assert {path for path in DEPLOY.rglob("*") if path.is_file()} == checked
