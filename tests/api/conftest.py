"""A real etcd and kube-apiserver for the session, one operator with the least rights, a namespace for each test."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from api import access, audit
from api.access import SYSTEM
from api.cluster import Kubectl, eventually
from api.operators import OperatorProcess
from fairlead_cli.local import controlplane
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_cli.local.health import free_ports
from hub_server import LARGE, HubServer, hub

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "fairlead.dev_inferenceservices.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at the others comes after them."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def install_crd(admin: Kubectl) -> None:
    """Apply the generated CRD and wait until it is served."""
    admin.apply(yaml.safe_load(CRD.read_text()))
    # Not `kubectl wait`: it gives up on a CRD that has no conditions yet.
    eventually(lambda: "infs" in admin("api-resources", "--api-group=fairlead.dev", "--cached=false"), "discovery")


def install(plane: ControlPlane) -> Kubectl:
    """The CRD and the operator's rights; returns kubectl that may do everything, in the operator's namespace."""
    admin = Kubectl(plane.kubectl, plane.kubeconfig, SYSTEM)
    install_crd(admin)
    for manifest in access.manifests(SYSTEM):
        admin.apply(manifest)
    return admin


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane; its programs are built when they are missing."""
    policy = tmp_path_factory.mktemp("audit") / "policy.yaml"
    policy.write_text(audit.POLICY)
    arguments = {"kube-apiserver": [f"--audit-policy-file={policy}"]}
    folder = tmp_path_factory.mktemp("control-plane")
    with controlplane.start(folder, arguments=arguments, progress=print) as started:
        yield started


@pytest.fixture(scope="session")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One with controller-manager; pods get no node, for there is no scheduler."""
    folder = tmp_path_factory.mktemp("managed")
    with controlplane.start(folder, controller_manager=True, progress=print) as started:
        install(started)
        yield started


@pytest.fixture(scope="session")
def admin(plane: ControlPlane) -> Kubectl:
    """kubectl that may do everything, with CRD and the operator's rights installed."""
    install(plane)
    return Kubectl(plane.kubectl, plane.kubeconfig, "default")


@pytest.fixture(scope="session")
def model_hub() -> Iterator[HubServer]:
    """The hub of the session's operator: it has one model, whose weights are 131 GiB."""
    with hub({"config.json": LARGE}) as there:
        yield there


@pytest.fixture(scope="session")
def operator(
    plane: ControlPlane, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory, model_hub: HubServer
) -> Iterator[OperatorProcess]:
    """The operator that serves all tests that need none of their own."""
    log = tmp_path_factory.mktemp("operator") / "log"
    settings = {"FAIRLEAD_HUB_ENDPOINT": model_hub.url, "FAIRLEAD_NETWORK_POLICIES": "true"}
    process = OperatorProcess(plane.user(access.USER), log, SYSTEM, "session", free_ports(1)[0], settings)
    with process:
        process.ready()
        eventually(process.leads, "leadership")
        yield process
        assert process.end() == 0, log.read_text()[-4000:]


@pytest.fixture
def kubectl(admin: Kubectl) -> Kubectl:
    """kubectl in a fresh namespace."""
    return admin.new_namespace(f"test-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def engines() -> Iterator[ExitStack]:
    """What is started in it ends with the test."""
    with ExitStack() as stack:
        yield stack
