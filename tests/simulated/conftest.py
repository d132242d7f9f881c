"""A whole control plane for the session: real controllers and scheduler, and nodes whose kubelets are simulated by kwok."""

from collections.abc import Iterator

import pytest

from api.cluster import Kubectl, eventually
from api.conftest import admin, kubectl, model_hub, operator
from fairlead_cli.local.controlplane import ControlPlane
from simulated import policies
from simulated.ground import simulated
from simulated.nodes import Pool

__all__ = ["admin", "kubectl", "model_hub", "operator"]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane and kwok; missing programs are built."""
    with simulated(tmp_path_factory.mktemp("control-plane")) as started:
        yield started


@pytest.fixture(scope="session")
def admission(admin: Kubectl) -> None:
    """The policies of policies.py, each in force where a namespace's label names it."""
    for manifest in policies.POLICIES:
        admin.apply(manifest)
    for name in (policies.UNATTENDED, policies.WITHOUT_IMAGE_VOLUMES):
        labels = {policies.LABEL: name}
        admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"probe-{name}", "labels": labels}})
    for probe in policies.PROBES:
        # The API server reads new policies from time to time.
        eventually(lambda probe=probe: probe(admin), "the policies in force")  # type: ignore[misc]


@pytest.fixture
def pool(kubectl: Kubectl) -> Iterator[Pool]:
    """Nodes of this test's own; its services end with it, so that their pods keep nobody busy."""
    yield Pool(kubectl, kubectl.namespace)
    kubectl.delete_all("infs")
