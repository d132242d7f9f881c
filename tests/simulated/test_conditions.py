"""Conditions as kubectl and other tools read them."""

from collections.abc import Iterator

import pytest

from api.cluster import Kubectl, conditions, eventually
from api.operators import OperatorProcess
from fairlead_operator.core.conditions import AVAILABLE, READY, RECONCILING, SECURED, STALLED, TABLE
from simulated.fates import STUCK, record
from simulated.nodes import Pool

NAMESPACE = "conditions"
ALWAYS = (*(row.type for row in TABLE), AVAILABLE, READY)


@pytest.fixture(scope="module")
def served(admin: Kubectl, operator: OperatorProcess) -> Iterator[Kubectl]:
    """A namespace where one service does well, one never gets ready, one fails, and one is refused."""
    kubectl, pool = admin.new_namespace(NAMESPACE), Pool(admin, NAMESPACE)
    pool.add(8)
    keys = {"apiKeySecretRef": {"name": "keys", "key": "keys"}}
    kubectl.apply(pool.service("well", serving=keys))
    kubectl.apply(pool.service("slow", STUCK))
    kubectl.apply(pool.service("failing", record("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072")))
    kubectl.apply(pool.service("refused", engine={"extraArgs": ["--api-key=x"]}))
    yield kubectl
    kubectl.delete_all("infs")


@pytest.mark.parametrize("kind", ALWAYS)
def test_kubectl_waits_for_each_type(served: Kubectl, kind: str) -> None:
    assert "condition met" in served("wait", f"--for=condition={kind}", "infs/well", "--timeout=30s")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("slow", f"{RECONCILING}"),
        ("slow", f"{READY}=False"),
        ("slow", "ModelAvailable=Unknown"),
        ("failing", "EngineHealthy=False"),
        ("failing", f"{STALLED}"),
        ("refused", f"{STALLED}"),
        ("refused", "Accepted=False"),
        ("refused", "Scheduled=Unknown"),
    ],
)
def test_kubectl_waits_for_trouble(served: Kubectl, name: str, wanted: str) -> None:
    assert "condition met" in served("wait", f"--for=condition={wanted}", f"infs/{name}", "--timeout=40s")


@pytest.mark.parametrize(
    ("name", "status"),
    [("well", "Current"), ("slow", "InProgress"), ("failing", "Failed"), ("refused", "Failed")],
)
def test_what_kstatus_makes_of_it(served: Kubectl, name: str, status: str) -> None:
    """cli-utils, flux and argo decide so: an observed generation first, then Stalled, Reconciling, Ready."""

    def computed() -> str:
        service = served.get("infs", name) or {}
        if service.get("status", {}).get("observedGeneration") != service["metadata"]["generation"]:
            return "InProgress"
        seen = {kind: item["status"] for kind, item in conditions(service).items()}
        if seen.get(STALLED) == "True":
            return "Failed"
        return "InProgress" if seen.get(RECONCILING) == "True" or seen[READY] != "True" else "Current"

    eventually(lambda: computed() == status, status, 40.0)


def test_the_open_port_is_told_and_blocks_nothing(served: Kubectl) -> None:
    seen = eventually(lambda: conditions(served.get("infs", "slow")), "conditions")

    assert seen[SECURED]["status"] == "False"
    assert "spec.serving.apiKeySecretRef" in seen[SECURED]["message"]
