"""The operator on the real cluster: killed at random moments nothing changes in the end, and left alone it writes nothing."""

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.audit import Audit, Write
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.stack import Stack

from . import operator_pod, pods
from .conftest import ENGINE_WITHIN, apply, service

pytestmark = pytest.mark.timeout(1500)

#: Printed with every failure; another one gives other moments.
SEED = int(os.environ.get("FAIRLEAD_SEED", "20261124"))
#: Seconds after an action within which the operator dies: it writes within the first one, pods change for longer.
MOMENT = 3.0
#: Kills after which the Lease of the dead operator has to run out; after the others the next one leads at once.
WAITED_OUT = 3
#: Seconds without any change. The default keeps the suite short.
IDLE_SECONDS = float(os.environ.get("FAIRLEAD_IDLE_SECONDS", "45"))
REST_SECONDS = 5.0
RECONCILED = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'
OWNED = ("deployments", "replicasets", "pods", "services", "configmaps", "poddisruptionbudgets", "endpointslices")


def children(kubectl: Kubectl, name: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that exists for the service, by kind."""
    return {kind: kubectl.get(kind, "-l", f"fairlead.dev/service={name}")["items"] for kind in OWNED}


def identities(kubectl: Kubectl, name: str) -> dict[str, list[tuple[str, str]]]:
    return {
        kind: sorted((item["metadata"]["name"], item["metadata"]["uid"]) for item in items)
        for kind, items in children(kubectl, name).items()
    }


def restarts(kubectl: Kubectl, name: str) -> int:
    return sum(pods.restarts(pod) for pod in pods.of(kubectl, name))


def eventually(condition: Callable[[], bool], what: str, within: float = ENGINE_WITHIN) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"seed {SEED}: after {within:g} s still not: {what}"
        time.sleep(0.5)


def replicas(kubectl: Kubectl, name: str, wanted: int) -> bool:
    """Whether resource and Deployment want that many, and the status is of this generation."""
    resource = kubectl.get("infs", name)
    deployments = children(kubectl, name)["deployments"]
    return [item["spec"]["replicas"] for item in deployments] == [wanted] and resource.get("status", {}).get(
        "observedGeneration"
    ) == resource["metadata"]["generation"]


def gone(kubectl: Kubectl, name: str) -> bool:
    return not any(children(kubectl, name).values())


@pytest.mark.usefixtures("served")
def test_killed_at_ten_random_moments_the_operator_ends_where_it_would_have_ended(
    kubectl: Kubectl, model: str, scripted: dict[str, Any]
) -> None:
    moments = random.Random(SEED)
    untouched = identities(kubectl, "speaker")

    def scaled(name: str, wanted: int) -> tuple[Callable[[], object], Callable[[], bool], str]:
        return (
            lambda: kubectl.run("scale", f"infs/{name}", f"--replicas={wanted}"),
            lambda: replicas(kubectl, name, wanted),
            f"{name} at {wanted}",
        )

    def applied(name: str) -> tuple[Callable[[], object], Callable[[], bool], str]:
        manifest = service(name, model, **scripted)
        return lambda: apply(kubectl, manifest), lambda: replicas(kubectl, name, 1), f"{name} applied"

    def deleted(name: str) -> tuple[Callable[[], object], Callable[[], bool], str]:
        command = ("delete", "infs", name, "--wait=false")
        return lambda: kubectl.run(*command), lambda: gone(kubectl, name), f"nothing left of {name}"

    story = [
        *(applied("one"), scaled("one", 2), scaled("one", 0), scaled("one", 1), applied("two")),
        *(scaled("two", 2), deleted("two"), scaled("one", 2), applied("three"), deleted("three")),
    ]
    for number, (act, settled, what) in enumerate(story):
        operator_pod.wait_to_lead(kubectl)
        act()
        time.sleep(moments.uniform(0, MOMENT))
        operator_pod.kill(kubectl)
        # That it runs out is seen often enough by the first.
        if number >= WAITED_OUT:
            operator_pod.free_the_lease(kubectl)
        eventually(settled, what)

    kubectl.run("wait", "--for=condition=Ready", "infs/one", f"--timeout={ENGINE_WITHIN}s")
    kubectl.run("wait", "--for=jsonpath={.status.readyReplicas}=2", "infs/one", f"--timeout={ENGINE_WITHIN}s")
    assert {kind: len(items) for kind, items in identities(kubectl, "one").items()} == dict.fromkeys(OWNED, 1) | {
        "pods": 2
    }
    assert restarts(kubectl, "one") == 0
    assert identities(kubectl, "speaker") == untouched, "a service that nobody changed"
    assert restarts(kubectl, "speaker") == 0
    kubectl.run("delete", "infs", "one", "--wait", "--cascade=foreground")
    assert gone(kubectl, "one")


@pytest.mark.usefixtures("served")
def test_nothing_is_written_but_the_lease_while_nothing_changes_nor_across_a_restart(
    local: Stack, kubectl: Kubectl
) -> None:
    audit = Audit(local.cluster.audit_log, operator_pod.user())

    def writes() -> list[Write]:
        return audit.writes()

    def came_to_rest() -> bool:
        nonlocal audit
        audit = Audit(local.cluster.audit_log, operator_pod.user())
        time.sleep(REST_SECONDS)
        return not writes()

    operator_pod.wait_to_lead(kubectl)
    eventually(came_to_rest, "what the tests before have set in motion is over", within=120)

    time.sleep(IDLE_SECONDS)
    assert writes() == []

    operator_pod.kill(kubectl)
    operator_pod.wait_to_lead(kubectl)
    eventually(lambda: operator_pod.sample(kubectl, RECONCILED) >= 1, "a reconcile after the restart")
    assert writes() == []
