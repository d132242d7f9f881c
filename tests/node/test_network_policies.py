"""Who reaches which port of an engine's pod and of the operator's, with an agent that enforces the NetworkPolicies that fairlead makes.

Each connection is tried twice, with the agent running both times: first without policies, when all of them come to be, and then with them.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fairlead_cli.demo.kubectl import Kubectl, run
from fairlead_cli.local import binaries, node
from fairlead_cli.local.stack import CHART, INSTALL_TIMEOUT, RELEASE, Stack
from fairlead_cli.local.stack import NAMESPACE as OPERATORS

from . import connections, operator_pod, pods, policy_agent
from .conftest import NAMESPACE, apply, service

pytestmark = pytest.mark.timeout(300)

NAME = "harbour"
#: Seconds until its pod is Ready, and until a policy holds.
WITHIN = 120
#: Of no program: what somebody's code opens in an engine's pod.
UNKNOWN_PORT = 5000
CLIENTS, MONITORING = {"node-tests/asks": "models"}, {"node-tests/scrapes": "metrics"}
#: Pods that only wait, by whom they play: namespace, and its labels.
ACTORS: dict[str, tuple[str, dict[str, str]]] = {
    "neighbour": (NAMESPACE, {}),
    "client": ("node-tests-client", CLIENTS),
    "monitoring": ("node-tests-monitoring", MONITORING),
    "stranger": ("node-tests-stranger", {}),
}
FOREIGN = tuple(namespace for namespace, _ in ACTORS.values() if namespace != NAMESPACE)
#: From whom, to what, on which port, and whether the policies let it pass.
WAYS = (
    pytest.param("client", "service", 80, True, id="a client asks at the service's address"),
    pytest.param("client", "engine", 8000, True, id="or at the pod itself"),
    pytest.param("neighbour", "service", 80, True, id="the service's own namespace is a client"),
    pytest.param("stranger", "service", 80, False, id="another namespace is none"),
    pytest.param("stranger", "engine", 8000, False, id="nor is it at the pod itself"),
    pytest.param("monitoring", "engine", 8000, False, id="nor is who scrapes"),
    pytest.param("operator", "engine", 9090, True, id="the operator asks how the engine is"),
    pytest.param("monitoring", "engine", 9090, True, id="monitoring scrapes it"),
    pytest.param("stranger", "engine", 9090, False, id="another namespace does not reach metrics and state"),
    pytest.param("client", "engine", 9090, False, id="nor does a client"),
    pytest.param("neighbour", "engine", 9090, False, id="nor does a pod beside it"),
    pytest.param("neighbour", "engine", UNKNOWN_PORT, False, id="a port that somebody's code opens is closed"),
    pytest.param("client", "engine", UNKNOWN_PORT, False, id="to clients too"),
    pytest.param("operator", "engine", UNKNOWN_PORT, False, id="and to the operator"),
    pytest.param("monitoring", "operator", 8080, True, id="monitoring scrapes the operator"),
    pytest.param("stranger", "operator", 8080, False, id="nobody else does"),
)
Way = tuple[str, str, int]


@dataclass(frozen=True)
class Seen:
    """Whether each connection came to be."""

    without: dict[Way, bool]
    under: dict[Way, bool]


@pytest.fixture(scope="module")
def seen(local: Stack, kubectl: Kubectl, model: str, scripted: dict[str, Any]) -> Seen:
    operator_pod.wait_to_lead(kubectl)
    with actors(kubectl) as processes, policy_agent.running(local.cluster):
        apply(kubectl, service(NAME, model, **scripted))
        try:
            pods.wait_ready(kubectl, NAME, WITHIN, 1)
            (engine,) = pods.of(kubectl, NAME)
            inside = pods.processes(engine, b"")[0]
            with connections.listen(inside, UNKNOWN_PORT):
                without = tried(kubectl, processes, engine)
                with policies(local):
                    wait_for_policies(kubectl, processes, engine)
                    under = tried(kubectl, processes, engine)
            assert pods.names(pods.of(kubectl, NAME)) == {engine["metadata"]["name"]}, "policies touch no pod"
            return Seen(without, under)
        finally:
            kubectl.run("delete", "infs", NAME, "--wait=false")


@pytest.mark.parametrize(("source", "target", "port", "allowed"), WAYS)
def test_who_reaches_which_port(seen: Seen, source: str, target: str, port: int, *, allowed: bool) -> None:
    assert seen.without[source, target, port], "without policies everybody reaches everything"
    assert seen.under[source, target, port] is allowed


def tried(kubectl: Kubectl, processes: dict[str, int], engine: dict[str, Any]) -> dict[Way, bool]:
    operator = operator_pod.current(kubectl)
    assert operator is not None
    sources = {**processes, "operator": pods.processes(operator, b"")[0]}
    addresses = {
        "engine": engine["status"]["podIP"],
        "operator": operator["status"]["podIP"],
        "service": kubectl.get("service", NAME)["spec"]["clusterIP"],
    }
    ways: list[Way] = [way.values[:3] for way in WAYS]  # type: ignore[misc]
    answers = connections.reach([(sources[source], (addresses[target], port)) for source, target, port in ways])
    return dict(zip(ways, answers, strict=True))


def wait_for_policies(kubectl: Kubectl, processes: dict[str, int], engine: dict[str, Any]) -> None:
    """Return once the operator has made the service's policy and the agent has seen it."""
    operator_pod.wait_to_lead(kubectl)
    deadline = time.monotonic() + WITHIN
    closed = (processes["stranger"], (engine["status"]["podIP"], UNKNOWN_PORT))
    while connections.reach([closed]) == [True]:
        found = kubectl.run("get", "networkpolicies", "-A")
        assert time.monotonic() < deadline, f"no policy holds after {WITHIN} s:\n{found}"
        time.sleep(0.2)


@contextlib.contextmanager
def policies(local: Stack) -> Iterator[None]:
    """The chart's switch is on meanwhile, and the operator another one than before and after."""
    on = {"enabled": True, "clientNamespaces": CLIENTS, "monitoringNamespaces": MONITORING}
    switch(local, on)
    try:
        yield
    finally:
        switch(local, {"enabled": False})
        # As docs/security.md says: the operator has no right to them any more.
        local.kubectl.run("delete", "networkpolicies", "-A", "-l", "app.kubernetes.io/managed-by=fairlead")
        operator_pod.wait_to_lead(local.kubectl)


def switch(local: Stack, value: dict[str, Any]) -> None:
    run(
        *(str(binaries.ensure("helm")["helm"]), "upgrade", RELEASE, str(CHART), "--namespace", OPERATORS),
        *("--reuse-values", "--set-json", f"networkPolicy={json.dumps(value)}", "--wait", "--timeout", INSTALL_TIMEOUT),
        environment=local.kubectl.environment,
    )


@contextlib.contextmanager
def actors(kubectl: Kubectl) -> Iterator[dict[str, int]]:
    """A process of each pod, by whom it plays."""
    kubectl.run("delete", "namespace", *FOREIGN, "--ignore-not-found", "--wait")
    try:
        for namespace, labels in ACTORS.values():
            if namespace in FOREIGN:
                apply(
                    kubectl,
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
                )
        for name, (namespace, _) in ACTORS.items():
            # No pod is taken before the namespace has its service account.
            kubectl.run("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")
            apply(kubectl, waiting_pod(name, namespace))
        for name, (namespace, _) in ACTORS.items():
            kubectl.run("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=60s")
        found = {name: kubectl.get("pod", name, "-n", namespace) for name, (namespace, _) in ACTORS.items()}
        yield {name: pods.processes(pod, b"")[0] for name, pod in found.items()}
    finally:
        kubectl.run("delete", "pod", "neighbour", "--ignore-not-found", "--wait=false")
        kubectl.run("delete", "namespace", *FOREIGN, "--ignore-not-found", "--wait=false")


def waiting_pod(name: str, namespace: str) -> dict[str, Any]:
    container = {
        "name": "pause",
        "image": node.PAUSE_IMAGE,
        "imagePullPolicy": "Never",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
        },
    }
