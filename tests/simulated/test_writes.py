"""What each change costs in writes, from the API server's audit log: each child once, where it changes, and no pod that did not have to go."""

from collections import Counter
from contextlib import suppress

import pytest

from api.audit import Audit
from api.cluster import Kubectl, Manifest, conditions, eventually
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane
from simulated.nodes import Pool

STATUS = "patch inferenceservices/status"
#: Status is written when something is news: at most so often beside four times for each pod that comes or goes.
NEWS = 4
#: How often hangs on moments.
OF_MOMENTS = (STATUS, "create events")
LOOKS = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'
#: Seconds in which a write comes that Ready does not wait for.
SOON = 15.0


class Count:
    """Writes of the session's operator in one namespace since it was made."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._audit = Audit(plane.audit_log)
        self._namespace = namespace

    def all(self) -> Counter[str]:
        """By verb and resource."""
        mine = (write for write in self._audit.writes() if write.namespace == self._namespace)
        return Counter(f"{write.verb} {write.resource}" for write in mine)

    def fixed(self) -> dict[str, int]:
        """Those whose number hangs on no moment."""
        return {what: number for what, number in self.all().items() if what not in OF_MOMENTS}


@pytest.mark.usefixtures("operator")
@pytest.mark.timeout(240)
def test_each_change_writes_each_child_once(
    plane: ControlPlane, kubectl: Kubectl, pool: Pool, operator: OperatorProcess
) -> None:
    pool.add(8)

    def came_to(replicas: int) -> bool:
        found = kubectl.get("infs", "mistral") or {}
        ready = conditions(found).get("Ready", {})
        here = (ready.get("status"), ready.get("observedGeneration")) == ("True", found["metadata"]["generation"])
        return here and len(kubectl.items("pod")) == found["status"]["replicas"] == replicas

    def pods() -> set[str]:
        return {pod["metadata"]["uid"] for pod in kubectl.items("pod")}

    def step(patch: Manifest | None, replicas: int, news: int, expected: dict[str, int]) -> None:
        """Carry a change out; `news` is how many pods come or go, `expected` the writes whose number hangs on no moment."""
        count = Count(plane, kubectl.namespace)
        looks = operator.metric(LOOKS) or 0
        if patch is None:
            kubectl.apply(pool.service(replicas=replicas))
        else:
            kubectl.patch("infs", "mistral", patch)
        eventually(lambda: came_to(replicas), f"{replicas} replicas")
        eventually(lambda: (operator.metric(LOOKS) or 0) > looks, "a look")
        with suppress(AssertionError):  # told below
            eventually(lambda: count.fixed() == expected, "the last write", SOON)
        print(patch, dict(count.all()))
        assert count.fixed() == expected
        assert count.all()[STATUS] <= NEWS + 4 * news

    # The revision once more, when it has served.
    step(
        None,
        2,
        news=2,
        expected={
            "patch controllerrevisions": 2,
            "patch configmaps": 1,
            "patch services": 1,
            "patch poddisruptionbudgets": 1,
            "patch networkpolicies": 1,
            "patch deployments": 1,
        },
    )

    first, labelled = pods(), Count(plane, kubectl.namespace)
    kubectl.patch("infs", "mistral", {"metadata": {"labels": {"team": "nlp"}, "annotations": {"note": "keep"}}})
    step({"spec": {"replicas": 3}}, 3, news=1, expected={"patch deployments": 1})
    assert labelled.fixed() == {"patch deployments": 1}, "a label writes nothing"
    assert pods() > first, "neither makes a pod anew"

    third = pods()
    step({"spec": {"replicas": 1}}, 1, news=2, expected={"patch deployments": 1, "delete poddisruptionbudgets": 1})
    assert pods() < third

    fourth = pods()
    step(
        {"spec": {"engine": {"maxNumSeqs": 8}}},
        1,
        news=2,
        expected={"patch controllerrevisions": 2, "patch configmaps": 1, "patch deployments": 1},
    )
    assert not pods() & fourth, "another engine is another pod"
