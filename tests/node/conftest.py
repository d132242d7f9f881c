"""A real kubelet and a real vLLM: the local cluster with fairlead installed by its chart, and one namespace for these tests.

A cluster that runs already is used and left running; otherwise it is started, and taken down at the end.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead_cli import images
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import cluster, stack
from fairlead_cli.local.stack import Stack

from . import scripted_image, wrong_specs

NAMESPACE = "node-tests"
#: The keys of `served`: words that stand nowhere else, since everything that people are shown is searched for them.
KEYS = ("planted-first-key", "planted-second-key")
#: Seconds until an engine on two busy cores has answered, or has failed.
ENGINE_WITHIN = 420


@pytest.fixture(scope="session")
def local() -> Iterator[Stack]:
    was_up = cluster.status().running
    try:
        yield stack.up(lambda line: print(line, flush=True))
    finally:
        if not was_up:
            cluster.down(lambda line: print(line, flush=True))


@pytest.fixture(scope="session")
def kubectl(local: Stack) -> Iterator[Kubectl]:
    kubectl = local.kubectl
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    # What the pods promise is enforced here: one that asks for more is refused.
    stack.restrict(kubectl, NAMESPACE)
    kubectl.run("config", "set-context", "--current", f"--namespace={NAMESPACE}")
    try:
        yield kubectl
    finally:
        kubectl.run("config", "set-context", "--current", "--namespace=default")
        kubectl.run("delete", "namespace", NAMESPACE, "--wait")


@pytest.fixture(scope="session")
def model(local: Stack) -> str:
    return f"oci://{local.images['model'].ref}"


@pytest.fixture(scope="session")
def scripted(local: Stack) -> dict[str, Any]:
    """The part of a spec that makes a service's engine a script: its pods are ready in seconds, and every token is known."""
    image = scripted_image.build(lambda line: print(line, flush=True))
    images.load(local.cluster, {"scripted": image})
    return {
        "image": image.ref,
        "engine": {"maxModelLen": 4096, "maxNumSeqs": 1024, "extraArgs": []},
        "resources": {"cpu": "50m", "memory": "512Mi"},
    }


@pytest.fixture(scope="session")
def served(kubectl: Kubectl, model: str) -> str:
    """The address of a service that is Ready and guarded by `KEYS`."""
    apply(kubectl, secret("keys", keys="".join(f"{key}\n" for key in KEYS)))
    # Less than the minute after which an engine counts as stuck, and ten times what an answer takes beside engines that start.
    serving = {"apiKeySecretRef": {"name": "keys", "key": "keys"}, "requestTimeoutSeconds": 50}
    apply(kubectl, service("speaker", model, serving=serving))
    kubectl.run("wait", "--for=condition=Ready", "infs/speaker", f"--timeout={ENGINE_WITHIN}s")
    return f"http://{kubectl.get('service', 'speaker')['spec']['clusterIP']}"


@pytest.fixture(scope="session")
def wrong(kubectl: Kubectl, model: str) -> Iterator[None]:
    """All specs that cannot work, at once: each pod is busy with imports for most of its short life."""
    with wrong_specs.registry() as registry:
        for name, spec in wrong_specs.by_name(registry).items():
            apply(kubectl, service(name, spec.pop("uri", model), **spec))
        yield


def apply(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl.run("apply", "-f", "-", given=json.dumps(manifest))


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def service(name: str, uri: str, **spec: Any) -> dict[str, Any]:
    """An InferenceService on the CPU engine, small enough for two beside each other on two cores."""
    engine = {"maxModelLen": 1024, "kvCacheMemory": "128Mi", "extraArgs": ["--enforce-eager"]} | spec.pop("engine", {})
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "model": {"uri": uri} | spec.pop("model", {}),
            "engine": engine,
            "serving": {"requestTimeoutSeconds": 30} | spec.pop("serving", {}),
            # vLLM's two processes need about 3 GiB between them, most of it libraries.
            "resources": {"device": "CPU", "cpu": "200m", "memory": "4Gi"} | spec.pop("resources", {}),
            **spec,
        },
    }


def condition(kubectl: Kubectl, name: str, kind: str) -> dict[str, Any]:
    """A condition of the service, {} while it is not there."""
    rows = kubectl.get("infs", name).get("status", {}).get("conditions", [])
    return next((row for row in rows if row["type"] == kind), {})


def wait_for_reason(kubectl: Kubectl, name: str, kind: str, reason: str) -> dict[str, Any]:
    """The condition once it has that reason. Fails with what it was at the end."""
    deadline = time.monotonic() + ENGINE_WITHIN
    while (seen := condition(kubectl, name, kind)).get("reason") != reason:
        assert time.monotonic() < deadline, f"{name}: {kind} is {seen}, expected {reason}"
        time.sleep(0.5)
    return seen
