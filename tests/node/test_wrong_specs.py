"""Specs that cannot work end in the right condition, with the field to change, and deletion leaves nothing."""

from typing import Any

import pytest

from fairlead_cli.demo.kubectl import Kubectl

from .conftest import apply, service, wait_for_reason

pytestmark = pytest.mark.timeout(900)

#: name: (what differs from a good spec, condition, reason, field named in the message)
WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "long-context": ({"engine": {"maxModelLen": 99999}}, "EngineHealthy", "ContextTooLong", "spec.engine.maxModelLen"),
    "small-cache": (
        {"engine": {"kvCacheMemory": "1Mi"}},
        "EngineHealthy",
        "KVCacheTooSmall",
        "spec.engine.maxModelLen",
    ),
    "unknown-flag": (
        {"engine": {"extraArgs": ["--enforce-eagerly"]}},
        "Accepted",
        "UnknownEngineArgument",
        "spec.engine.extraArgs",
    ),
    "no-secret": (
        {"serving": {"apiKeySecretRef": {"name": "absent", "key": "keys"}}},
        "Accepted",
        "SecretNotFound",
        "spec.serving.apiKeySecretRef",
    ),
}


@pytest.fixture(scope="module")
def wrong(kubectl: Kubectl, model: str) -> None:
    """All of them at once: each pod is busy with imports for most of its short life."""
    for name, (spec, *_) in WRONG.items():
        apply(kubectl, service(name, model, **{key: dict(value) for key, value in spec.items()}))
    apply(kubectl, service("no-image", "oci://localhost/fairlead/absent:1"))
    apply(kubectl, service("no-claim", "pvc://absent/model"))


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("wrong")
def test_a_wrong_spec_ends_in_its_own_reason(kubectl: Kubectl, name: str) -> None:
    _, kind, reason, field = WRONG[name]

    found = wait_for_reason(kubectl, name, kind, reason)

    assert found["status"] == "False"
    assert field in found["message"]


@pytest.mark.parametrize(("name", "reason"), [("no-image", "ModelNotFound"), ("no-claim", "VolumeNotFound")])
@pytest.mark.usefixtures("wrong")
def test_a_model_that_is_not_there_is_said_of_the_model(kubectl: Kubectl, name: str, reason: str) -> None:
    found = wait_for_reason(kubectl, name, "ModelAvailable", reason)

    assert found["status"] == "False"
    assert "spec.model" in found["message"]


@pytest.mark.usefixtures("wrong")
def test_deleting_a_service_leaves_nothing_of_it(kubectl: Kubectl) -> None:
    kubectl.run("delete", "infs", "--all", "--wait", "--cascade=foreground", "--timeout=180s")

    for kind in ("deployments", "replicasets", "pods", "services", "poddisruptionbudgets"):
        assert kubectl.get(kind, "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
    assert kubectl.get("configmaps", "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
