"""Specs that cannot work end in the right condition, with the field to change, and deletion leaves nothing."""

import pytest

from fairlead_cli.demo.kubectl import Kubectl

from .conftest import wait_for_reason
from .wrong_specs import WRONG

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("wrong")
def test_a_wrong_spec_ends_in_its_own_reason(kubectl: Kubectl, name: str) -> None:
    _, kind, reason, field = WRONG[name]

    found = wait_for_reason(kubectl, name, kind, reason)

    assert found["status"] == "False"
    assert field in found["message"]


@pytest.mark.parametrize(
    ("name", "reason", "field"),
    [
        pytest.param("no-image", "ModelNotFound", "spec.model.uri", id="the registry has no such image"),
        pytest.param("private-image", "Unauthorized", "spec.imagePullSecrets", id="the registry wants a password"),
        pytest.param("no-registry", "HubUnreachable", "spec.model.uri", id="nobody answers there"),
        pytest.param("no-claim", "VolumeNotFound", "spec.model.uri", id="there is no such claim"),
    ],
)
@pytest.mark.usefixtures("wrong")
def test_a_model_that_is_not_there_is_said_of_the_model(kubectl: Kubectl, name: str, reason: str, field: str) -> None:
    found = wait_for_reason(kubectl, name, "ModelAvailable", reason)

    assert found["status"] == "False"
    assert field in found["message"]


@pytest.mark.usefixtures("wrong")
def test_deleting_a_service_leaves_nothing_of_it(kubectl: Kubectl) -> None:
    kubectl.run("delete", "infs", "--all", "--wait", "--cascade=foreground", "--timeout=180s")

    for kind in ("deployments", "replicasets", "pods", "services", "poddisruptionbudgets"):
        assert kubectl.get(kind, "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
    assert kubectl.get("configmaps", "-l", "app.kubernetes.io/managed-by=fairlead")["items"] == []
