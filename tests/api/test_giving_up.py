"""A template that never served and keeps failing holds no accelerator, until its user acts."""

import time
from typing import Any

import pytest

from api import pods
from api.cluster import Kubectl, conditions, eventually, service
from api.operators import OperatorProcess

RECORD = ("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072")


def wanted(kubectl: Kubectl) -> int:
    """Replicas of the Deployment."""
    return int((kubectl.get("deployment", "mistral") or {})["spec"]["replicas"])


def last_failure(kubectl: Kubectl) -> dict[str, Any]:
    """What the status remembers; {} when nothing has failed."""
    found: dict[str, Any] = (kubectl.get("infs", "mistral") or {}).get("status", {}).get("lastFailure") or {}
    return found


def crash(kubectl: Kubectl, pod: str, restarts: int) -> int:
    """The engine ends once more; returns how many of these ends the status counts, once it has seen this one."""
    before = last_failure(kubectl).get("time", "")
    eventually(lambda: pods.timestamp(5) > before, "a later second")
    pods.set_status(kubectl, pod, pods.failed(*RECORD, restarts=restarts))
    eventually(lambda: last_failure(kubectl).get("time", "") > before, f"failure {restarts}")
    return int(last_failure(kubectl)["count"])


@pytest.mark.usefixtures("operator")
def test_after_five_equal_failures_no_pod_is_kept_until_the_user_acts(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a")

    assert [crash(kubectl, pod, restarts) for restarts in range(5)] == [1, 2, 3, 4, 5]

    eventually(lambda: wanted(kubectl) == 0, "no pod wanted")
    kubectl.delete("pod", pod, gracePeriodSeconds=0)
    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Scheduled"]["reason"] == "GivenUp", "GivenUp")
    stalled = conditions(kubectl.get("infs", "mistral"))["Stalled"]
    assert stalled["reason"] == "KVCacheTooSmall"
    assert "spec.engine.maxModelLen" in stalled["message"]
    assert "fairlead.dev/retry" in stalled["message"]
    assert last_failure(kubectl)["count"] == 5

    assert operator.end() == 0
    operator.start().ready()
    eventually(operator.leads, "leadership")
    done = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'
    eventually(lambda: (operator.metric(done) or 0) > 0, "a look after the restart")
    assert wanted(kubectl) == 0, "a restart forgets nothing"

    kubectl("annotate", "infs", "mistral", f"fairlead.dev/retry={time.time():.0f}")
    eventually(lambda: wanted(kubectl) == 1, "another try")
    eventually(lambda: "Stalled" not in conditions(kubectl.get("infs", "mistral")), "the status of another try")

    second = pods.make(kubectl, "mistral", "b")
    assert [crash(kubectl, second, restarts) for restarts in range(5)] == [1, 2, 3, 4, 5]
    eventually(lambda: wanted(kubectl) == 0, "no pod wanted")
    kubectl.patch("infs", "mistral", {"spec": {"engine": {"maxModelLen": 3072}}})
    eventually(lambda: wanted(kubectl) == 1, "pods of the new spec")
