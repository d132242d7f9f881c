"""`fairlead why`, `status` and `logs` through the real kubectl, as commands and as kubectl's plugin; pods' fates are written by the test."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from api import access, pods
from api.cluster import Kubectl, accepted, eventually, service
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane

#: Where `fairlead` and `kubectl-fairlead` were installed.
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Done:
    """One command's end."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """A user's shell: kubectl and fairlead on PATH, the kubeconfig in KUBECONFIG."""

    environment: Mapping[str, str]
    namespace: str

    def __call__(self, *command: str) -> Done:
        done = subprocess.run(
            command, env=dict(self.environment), capture_output=True, text=True, timeout=60, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def why(self, *arguments: str) -> Done:
        return self("fairlead", "why", *arguments, "-n", self.namespace)


def shell_of(plane: ControlPlane, kubeconfig: Path, namespace: str) -> Shell:
    path = os.pathsep.join([str(SCRIPTS), str(plane.kubectl.parent), "/usr/bin", "/bin"])
    home = str(kubeconfig.parent)  # kubectl keeps what it discovers there
    return Shell({"PATH": path, "KUBECONFIG": str(kubeconfig), "HOME": home}, namespace)


@pytest.fixture
def shell(plane: ControlPlane, kubectl: Kubectl) -> Shell:
    return shell_of(plane, plane.kubeconfig, kubectl.namespace)


def fail(kubectl: Kubectl) -> str:
    """A service of 4096 tokens whose engine fits 3072; returns its pod."""
    kubectl.apply(service(engine={"maxModelLen": 4096}))
    pod = pods.make(kubectl, "mistral", "a")
    message = "the KV cache holds 3072 tokens, maxModelLen asks for 4096"
    pods.set_status(kubectl, pod, pods.failed("KVCacheTooSmall", message, "spec.engine.maxModelLen", "3072"))
    eventually(
        lambda: "KVCacheTooSmall" in kubectl("get", "infs", "mistral", "-o", "jsonpath={.status.conditions}"),
        "the reason",
    )
    return pod


@pytest.mark.usefixtures("operator")
def test_from_the_failure_over_the_cure_to_health(shell: Shell, kubectl: Kubectl) -> None:
    pod = fail(kubectl)

    done = shell.why("mistral")

    assert done.code == 1, done.err
    assert "spec.engine.maxModelLen: 4096 -> 3072" in done.out
    assert f"{pod}: Failed, KVCacheTooSmall" in done.out
    assert "the log of pod mistral-a could not be read" in done.out  # there is no kubelet here

    # What RUN says is typed as it stands.
    (cure,) = (line.removeprefix("RUN").strip() for line in done.out.splitlines() if line.startswith("RUN"))
    assert shell("sh", "-c", cure).code == 0
    spec = (kubectl.get("infs", "mistral") or {})["spec"]
    assert spec["engine"]["maxModelLen"] == 3072

    eventually(lambda: accepted(kubectl), "the operator's look at the cured spec")
    kubectl.delete("pod", pod, gracePeriodSeconds=0)
    new = pods.make(kubectl, "mistral", "b")
    pods.set_status(kubectl, new, pods.ready())
    pods.report(kubectl, "mistral", 1, 1)
    kubectl("wait", "--for=condition=Ready", "infs/mistral", "--timeout=20s")
    healthy = shell.why("mistral")
    assert healthy.code == 0, healthy.out
    assert healthy.out.startswith(f"infs/mistral in {shell.namespace} is Ready for")


@pytest.mark.usefixtures("operator")
def test_kubectl_runs_it_as_its_plugin(shell: Shell, kubectl: Kubectl) -> None:
    fail(kubectl)

    why = shell("kubectl", "fairlead", "why", "mistral", "-n", shell.namespace, "-o", "json")
    status = shell("kubectl", "fairlead", "status", "mistral", "-n", shell.namespace)
    every = shell("kubectl", "fairlead", "why", "-n", shell.namespace)
    usage = shell("kubectl", "fairlead", "whence")

    assert why.code == 1, why.err
    story = json.loads(why.out)
    assert (story["trouble"]["condition"], story["trouble"]["reason"]) == ("EngineHealthy", "KVCacheTooSmall")
    assert story["cure"]["value"] == 3072
    assert status.code == 1
    assert "EngineHealthy" in status.out
    assert every.code == 1
    assert "KVCacheTooSmall" in every.out
    assert (usage.code, "Usage: kubectl fairlead" in usage.err) == (2, True)
    assert "kubectl-fairlead" in shell("kubectl", "plugin", "list").out


@pytest.mark.usefixtures("operator")
def test_no_such_service_and_none_at_all(shell: Shell) -> None:
    absent, none = shell.why("mistral"), shell.why()

    assert absent.code == 2
    assert f"there is no InferenceService mistral in namespace {shell.namespace}" in absent.err
    assert none.code == 0
    assert "no InferenceService in this namespace" in none.out


def test_no_cluster_cannot_be_told(shell: Shell) -> None:
    nowhere = Shell({**shell.environment, "KUBECONFIG": "/dev/null"}, "default")

    done = nowhere.why("mistral")

    assert done.code == 2
    assert "the cluster does not answer" in done.err


@pytest.mark.usefixtures("operator")
def test_without_rights_to_pods_the_status_tells_and_it_is_said(
    shell: Shell, plane: ControlPlane, kubectl: Kubectl
) -> None:
    fail(kubectl)
    # May read InferenceServices alone.
    name = f"reader-{kubectl.namespace}"
    kubectl("create", "role", name, "--verb=get,list", "--resource=inferenceservices.fairlead.dev")
    kubectl("create", "rolebinding", name, f"--role={name}", f"--user={name}")
    reader = shell_of(plane, plane.user(name), kubectl.namespace)

    eventually(lambda: reader.why("mistral").code == 1, "the rights")
    done = reader.why("mistral")

    assert "spec.engine.maxModelLen: 4096 -> 3072" in done.out
    assert "pods could not be read" in done.out
    log = reader("fairlead", "logs", "mistral", "-n", kubectl.namespace)
    assert (log.code, "you may not read what this needs: deployments.apps" in log.err) == (2, True)


def test_who_may_read_nothing_is_told_what_to_ask_for(shell: Shell, plane: ControlPlane, kubectl: Kubectl) -> None:
    stranger = shell_of(plane, plane.user("stranger"), kubectl.namespace)

    done = stranger.why("mistral")

    assert done.code == 2
    assert "you may not read what this needs: inferenceservices.fairlead.dev" in done.err


def test_without_an_operator_nobody_acts(
    shell: Shell, kubectl: Kubectl, admin: Kubectl, operator: OperatorProcess
) -> None:
    """Its Lease is given back, as an operator that ends does it; the service that it never saw is unhealthy for that reason."""
    assert operator.end() == 0
    try:
        kubectl.apply(service())

        done = shell.why("mistral")
    finally:
        operator.start().ready()
        eventually(operator.leads, "leadership")

    assert done.code == 1
    assert f"the operator was stopped: its Lease in namespace {access.SYSTEM} is given back" in " ".join(
        done.out.split()
    )
    assert "kubectl get pods -l app.kubernetes.io/name=fairlead" in done.out
    assert "there is no Deployment yet" in done.out
