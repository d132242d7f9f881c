"""Writing the scale as KEDA and HorizontalPodAutoscaler do, while reconciles are going on."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.client import connect
from api.cluster import Kubectl, eventually, service
from api.operators import OperatorProcess
from api.watching import Replicas
from fairlead_cli.local.controlplane import ControlPlane

WRITES = 100


@contextmanager
def disturbed(kubectl: Kubectl, plane: ControlPlane) -> Iterator[None]:
    """Meanwhile somebody touches the Deployment without pause, so that reconciles begin at any moment."""
    over = threading.Event()

    def touch(kubeconfig: Path) -> None:
        path = f"/apis/apps/v1/namespaces/{kubectl.namespace}/deployments/mistral"
        with connect(kubeconfig) as http:
            for number in range(10**6):
                label = {"metadata": {"labels": {"app.kubernetes.io/part-of": f"x{number}"}}}
                http.patch(path, json=label, headers={"Content-Type": "application/merge-patch+json"})
                if over.wait(0.02):
                    return

    thread = threading.Thread(target=touch, args=(plane.kubeconfig,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def write_scale(http: httpx.Client, path: str, replicas: int) -> None:
    """Read, change, update, and again if somebody else was faster."""
    while True:
        scale: dict[str, Any] = http.get(path).json()
        answer = http.put(path, json={**scale, "spec": {"replicas": replicas}})
        if answer.status_code != 409:
            answer.raise_for_status()
            return


def test_the_deployment_follows_every_write_and_takes_no_other_value(
    kubectl: Kubectl, plane: ControlPlane, operator: OperatorProcess
) -> None:
    assert operator.running
    kubectl.apply(service(replicas=1))
    eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
    path = f"/apis/fairlead.dev/v1alpha1/namespaces/{kubectl.namespace}/inferenceservices/mistral/scale"
    written = [1]

    with (
        Replicas(kubectl, "deployment", "mistral") as deployment,
        disturbed(kubectl, plane),
        connect(plane.kubeconfig) as http,
    ):
        for _ in range(WRITES):
            written.append(random.choice([number for number in range(6) if number != written[-1]]))
            write_scale(http, path, written[-1])
            eventually(lambda: deployment.values[-1] == written[-1], f"{written[-1]} replicas")

    assert deployment.values == written


@pytest.mark.parametrize("patch", ["application/merge-patch+json", "application/json-patch+json"])
def test_a_patched_scale_is_followed_too(
    kubectl: Kubectl, plane: ControlPlane, operator: OperatorProcess, patch: str
) -> None:
    assert operator.running
    kubectl.apply(service(replicas=1))
    eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
    path = f"/apis/fairlead.dev/v1alpha1/namespaces/{kubectl.namespace}/inferenceservices/mistral/scale"
    body: Any = {"spec": {"replicas": 4}}
    if "json-patch" in patch:
        body = [{"op": "replace", "path": "/spec/replicas", "value": 4}]

    with connect(plane.kubeconfig) as http:
        http.patch(path, json=body, headers={"Content-Type": patch}).raise_for_status()

    eventually(lambda: (kubectl.get("deployment", "mistral") or {})["spec"]["replicas"] == 4, "four replicas")
