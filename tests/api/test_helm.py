"""The chart on a real API server: installed, upgraded, rolled back, uninstalled and installed again, under services that stay.

The operator runs beside it, as the chart's service account, with the rights and the settings that the chart gives it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.cluster import Kubectl, Manifest, accepted, conditions, eventually, service
from api.conftest import ROOT
from api.objects import RefusedError
from api.operators import OperatorProcess
from fairlead_cli.local import binaries, controlplane
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_cli.local.health import free_ports

CHART = ROOT / "charts" / "fairlead"
OLDEST = yaml.safe_load((ROOT / "tests" / "oldest_values.yaml").read_text())
RELEASE, NAMESPACE, MODELS = "fairlead", "fairlead-system", "models"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


@dataclass(frozen=True)
class Release:
    """helm and kubectl on one control plane."""

    plane: ControlPlane
    program: Path
    folder: Path

    @property
    def system(self) -> Kubectl:
        """In the chart's namespace."""
        return Kubectl(self.plane.kubectl, self.plane.kubeconfig, NAMESPACE)

    @property
    def models(self) -> Kubectl:
        """Where the services are."""
        return Kubectl(self.plane.kubectl, self.plane.kubeconfig, MODELS)

    def helm(self, *arguments: str, namespace: str = NAMESPACE, user: Path | None = None) -> str:
        """What it prints; nothing waits for the operator's pods, for there is no node. user: a kubeconfig, of somebody who may do less."""
        own = {f"HELM_{name}_HOME": str(self.folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **own, "KUBECONFIG": str(user or self.plane.kubeconfig)}
        command = [str(self.program), *arguments, "--namespace", namespace]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def values(self) -> dict[str, Any]:
        """All that the release was rendered with."""
        found: dict[str, Any] = json.loads(self.helm("get", "values", RELEASE, "--all", "--output=json"))
        return found

    @contextmanager
    def operator(self, name: str) -> Iterator[OperatorProcess]:
        """One with the environment of the installed Deployment, leading until the block ends."""
        deployment = eventually(lambda: self.system.get("deployment", RELEASE), "the operator's Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        settings = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
        user = self.plane.user(ACCOUNT, ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"])
        log = self.folder / f"{name}.log"
        with OperatorProcess(user, log, NAMESPACE, name, free_ports(1)[0], settings) as process:
            process.ready()
            eventually(process.leads, f"leadership, see {log}")
            yield process
            assert process.end() == 0, log.read_text()[-4000:]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    folder = tmp_path_factory.mktemp("helm")
    helm = binaries.ensure("helm", progress=print)["helm"]
    with controlplane.start(folder / "plane", controller_manager=True, progress=print) as plane:
        release = Release(plane, helm, folder)
        for namespace in (NAMESPACE, MODELS):
            release.system.new_namespace(namespace)
        yield release


def older(folder: Path) -> Path:
    """A chart without the values that came later. Operators of other releases are upgraded in test_upgrade.py."""
    chart = shutil.copytree(CHART, folder / "fairlead")
    (chart / "values.yaml").write_text(yaml.safe_dump(OLDEST))
    return chart


def deployment(kubectl: Kubectl, name: str = "mistral") -> Manifest:
    return eventually(lambda: kubectl.get("deployment", name), f"Deployment {name}")


def served(kubectl: Kubectl, name: str) -> bool:
    return accepted(kubectl, name) and conditions(kubectl.get("infs", name))["Accepted"]["status"] == "True"


@pytest.mark.timeout(300)
def test_services_stay_through_the_life_of_a_release(release: Release, tmp_path: Path) -> None:
    kubectl = release.models
    release.helm("install", RELEASE, str(older(tmp_path)))
    with release.operator("old"):
        kubectl.apply(service(replicas=2))
        eventually(lambda: served(kubectl, "mistral"), "a service")
    before = deployment(kubectl)

    release.helm("upgrade", RELEASE, str(CHART), "--reset-then-reuse-values", "--set", "networkPolicy.enabled=true")
    assert release.values().keys() > OLDEST.keys(), "what came later is there by its default"
    with release.operator("new"):
        eventually(lambda: kubectl.get("networkpolicy", "mistral"), "its NetworkPolicy")
        kubectl.apply(service("guarded", serving={"apiKey": "Generate"}))
        eventually(lambda: served(kubectl, "guarded"), "a service with a key")
    key = str((kubectl.get("infs", "guarded") or {})["status"]["apiKeySecretName"])
    made = kubectl.get("secret", key)
    assert made is not None
    assert deployment(kubectl)["metadata"]["generation"] == before["metadata"]["generation"], "no pod was touched"

    release.helm("rollback", RELEASE, "1")
    assert kubectl.get("infs", "mistral") is not None
    assert deployment(kubectl)["metadata"]["uid"] == before["metadata"]["uid"]

    release.helm("upgrade", RELEASE, str(CHART), "--reuse-values")
    assert release.values() == OLDEST, "what came later is missing"
    release.helm("uninstall", RELEASE)
    assert release.system.get("deployment", RELEASE) is None
    assert release.system("get", "clusterrole", RELEASE, "--ignore-not-found") == ""
    assert {item["metadata"]["name"] for item in kubectl.items("infs")} == {"mistral", "guarded"}
    assert deployment(kubectl)["metadata"]["uid"] == before["metadata"]["uid"]

    release.helm("install", RELEASE, str(CHART))
    with release.operator("again"):
        kubectl("scale", "infs/mistral", "--replicas=3")
        eventually(lambda: deployment(kubectl)["spec"]["replicas"] == 3, "the service is taken over")
        eventually(lambda: served(kubectl, "guarded"), "the other one too")
        assert deployment(kubectl)["metadata"]["uid"] == before["metadata"]["uid"]
        assert (kubectl.get("secret", key) or {})["data"] == made["data"]


@pytest.mark.parametrize(
    ("role", "verb", "allowed"),
    [
        pytest.param("view", "get", True, id="view reads services"),
        pytest.param("view", "create", False, id="view makes none"),
        pytest.param("edit", "create", True, id="edit makes services"),
        pytest.param("admin", "delete", True, id="admin deletes them"),
        pytest.param("edit", "update --subresource=status", False, id="edit does not write their status"),
    ],
)
def test_the_clusters_own_roles_know_services(release: Release, role: str, verb: str, *, allowed: bool) -> None:
    release.helm("upgrade", "--install", RELEASE, str(CHART))
    if not release.models("get", "rolebinding", role, "--ignore-not-found"):
        release.models("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}-user")

    def may(asked: str) -> bool:
        name, *flags = asked.split()
        try:
            return release.models("auth", "can-i", name, "infs", *flags, f"--as={role}-user").strip() == "yes"
        except RefusedError:  # its exit code says no
            return False

    eventually(lambda: may("get"), "the aggregated role")

    assert may(verb) is allowed


def test_a_further_release_takes_somebody_with_all_rights_in_its_namespace(release: Release) -> None:
    release.helm("upgrade", "--install", RELEASE, str(CHART))
    team = Kubectl(release.plane.kubectl, release.plane.kubeconfig, "team-b")
    team.new_namespace("team-b")
    install = ["install", "further", str(CHART), "--set", "watchNamespaces={team-b}", "--set", "crds.install=false"]
    install += ["--set", "userRoles.create=false"]
    for role in ("admin", "cluster-admin"):
        team("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}-of-b")

    with pytest.raises(AssertionError, match="attempting to grant RBAC permissions not currently held"):
        release.helm(*install, namespace="team-b", user=release.plane.user("admin-of-b"))
    release.helm("uninstall", "further", namespace="team-b")
    release.helm(*install, namespace="team-b", user=release.plane.user("cluster-admin-of-b"))

    assert team.get("deployment", "further-fairlead") is not None
