"""The manifests: Kubernetes' own schemas, and what they say of the server."""

from __future__ import annotations

from typing import Any

import yaml

from tests.deploy.test_containers import VARIABLES
from tests.deploy.tools import DEPLOY, files, passes
from tether_rt.settings import SETTINGS, Settings

FILES = files("kubernetes/*.yaml")


def manifest(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())
    return found


def test_manifests_fit_kubernetes_schemas() -> None:
    passes("kubernetes-validate", "--strict", *FILES)


def test_settings_exist_and_secret_ones_are_in_the_secret() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    plain = {one["name"]: one["value"] for one in container["env"]}
    secret = manifest("secret.example")["stringData"]
    assert secret["TETHER_SECRET"] == "", "whoever forgets it is told at the start"
    assert set(plain) | set(secret) <= VARIABLES
    assert {row.variable for row in SETTINGS if row.secret} & set(plain) == set()
    settings = Settings.from_environment({**plain, **secret, "TETHER_SECRET": "filled in"})
    assert pod["terminationGracePeriodSeconds"] > settings.drain_delay_s + settings.shutdown_s + 5


def test_a_service_named_tether_does_not_set_the_servers_port() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    assert manifest("service")["metadata"]["name"] == "tether"
    assert pod["enableServiceLinks"] is False


def test_the_pod_has_no_rights_and_writes_two_folders() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/tether", "/tmp"}


def test_probes_ask_what_they_are_meant_to() -> None:
    (container,) = manifest("deployment")["spec"]["template"]["spec"]["containers"]
    asked = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert container["readinessProbe"]["timeoutSeconds"] > 5


def test_everything_selects_the_same_pods() -> None:
    labels = manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("deployment")["spec"]["selector"]["matchLabels"] == labels
