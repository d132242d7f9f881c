"""Whether anybody acts, from the Lease and from how long a change of spec or pods went unseen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead_cli.why.acting import acting, last_change
from fairlead_cli.why.gathering import Sight
from fairlead_operator.core.moments import rfc3339

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def ago(seconds: int) -> str:
    return rfc3339(NOW - timedelta(seconds=seconds))


def lease(renewed: int, holder: str = "operator-a", namespace: str = "fairlead-system") -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": ago(renewed)}
    return {"metadata": {"namespace": namespace, "name": "fairlead-operator"}, "spec": spec}


def service(*, seen: int = 3, changed: int = 3600) -> dict[str, Any]:
    """Generation 3, whose spec was changed so many seconds ago; the status is about generation `seen`."""
    written = [
        {"manager": "kubectl", "time": ago(changed)},
        {"manager": "fairlead-status", "subresource": "status", "time": ago(0)},
    ]
    metadata = {"name": "mistral", "namespace": "models", "generation": 3, "managedFields": written}
    status = {"observedGeneration": seen, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {**metadata, "creationTimestamp": ago(86_400)}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("leases", "of", "told"),
    [
        pytest.param((lease(2),), service(), "", id="renewed two seconds ago"),
        pytest.param((lease(40),), service(), "", id="a clock that is off, or a successor about to take over"),
        pytest.param((lease(120),), service(), "was last renewed 2 min ago", id="not renewed for long"),
        pytest.param((lease(120, holder=""),), service(), "was stopped", id="given back"),
        pytest.param((lease(9000, namespace="old"), lease(2)), service(), "", id="an installation of before left its Lease behind"),
        pytest.param((), service(), "no operator has ever run", id="no Lease at all"),
        pytest.param(None, service(), "", id="Leases may not be read, and the spec was seen"),
        pytest.param(None, service(seen=2), "the operator has not looked at this spec since it was changed 60 min ago", id="nor was the spec seen for an hour"),
        pytest.param(None, service(seen=2, changed=5), "", id="it was changed this very moment"),
        pytest.param((lease(2),), service(seen=2), "is alive, but it has not looked", id="alive, and busy elsewhere"),
    ],
)  # fmt: skip
def test_who_acts(leases: tuple[dict[str, Any], ...] | None, of: dict[str, Any], told: str) -> None:
    found = acting(Sight(service=of, now=NOW, leases=leases))

    assert bool(found.nobody) == bool(told)
    assert told in found.nobody


def pod(ready: str, changed: int, *, leaving: int | None = None, phase: str = "Running") -> dict[str, Any]:
    """Made a day ago. Ready changed so many seconds ago; it was told to go `leaving` seconds ago, within ten minutes."""
    gone = {} if leaving is None else {"deletionTimestamp": ago(leaving - 600), "deletionGracePeriodSeconds": 600}
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": ago(changed)}
    return {
        "metadata": {"creationTimestamp": ago(86_400), **gone},
        "status": {"phase": phase, "conditions": [condition]},
    }


def new(made: int) -> dict[str, Any]:
    """As it is before it has a node."""
    return {"metadata": {"creationTimestamp": ago(made)}, "status": {"phase": "Pending"}}


READY, LOST = pod("True", 9000), pod("False", 3600)


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        pytest.param((READY, READY), "", id="both Ready"),
        pytest.param((LOST, LOST), "has not noticed in 60 min that too few replicas are Ready (0 of 2)", id="both lost an hour ago"),
        pytest.param((READY, LOST), "in 60 min that too few replicas are Ready (1 of 2)", id="one lost an hour ago"),
        pytest.param((READY, pod("False", 5)), "", id="one lost just now: the operator is about to say it"),
        pytest.param((LOST, pod("False", 5)), "in 60 min that too few replicas are Ready (0 of 2)", id="one lost just now, and one an hour ago"),
        pytest.param((READY, pod("True", 9000, leaving=5), new(5)), "", id="one was told to go just now, and is being replaced"),
        pytest.param((READY, pod("True", 9000, leaving=60), new(60)), "in 60 s that too few replicas are Ready (1 of 2)", id="one was told to go a minute ago, and its successor is not Ready"),
        pytest.param((READY, pod("False", 9000, phase="Failed"), new(5)), "", id="one was evicted just now"),
        pytest.param((READY, pod("True", 9000, phase="Failed")), "(1 of 2)", id="what has ended is not Ready, whatever it says"),
        pytest.param((READY, READY, LOST), "", id="one more than wanted is lost"),
        pytest.param((READY,), "has not noticed that too few replicas are Ready (1 of 2)", id="one is not there at all"),
        pytest.param((), "has not noticed that too few replicas are Ready (0 of 2)", id="none is there"),
        pytest.param(None, "", id="pods may not be read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "leases",
    [
        pytest.param(None, id="Leases may not be read"),
        pytest.param((lease(2, namespace="another-team"), lease(9000)), id="another team's operator lives"),
    ],
)
def test_pods_that_a_ready_status_denies(
    leases: tuple[dict[str, Any], ...] | None, pods: tuple[dict[str, Any], ...] | None, told: str
) -> None:
    of = service()
    of["spec"]["replicas"] = 2

    found = acting(Sight(service=of, now=NOW, pods=pods, leases=leases))

    assert bool(found.nobody) == bool(told)
    assert told in found.nobody


@pytest.mark.parametrize(
    ("spec", "ready"),
    [
        pytest.param({"replicas": 2}, "False", id="the status says it"),
        pytest.param({"replicas": 2, "suspend": True}, "True", id="it was suspended"),
        pytest.param({"replicas": 0}, "True", id="none is wanted"),
    ],
)
def test_pods_that_nobody_expects_to_be_ready(spec: dict[str, Any], ready: str) -> None:
    of = service() | {"spec": spec}
    of["status"]["conditions"][0]["status"] = ready

    assert acting(Sight(service=of, now=NOW, pods=(LOST,))).nobody == ""


def test_a_status_that_is_written_is_no_change_of_the_spec() -> None:
    assert last_change(service(changed=60)) == NOW - timedelta(seconds=60)


def test_without_managed_fields_it_was_changed_when_it_was_made() -> None:
    made = service()
    del made["metadata"]["managedFields"]

    assert last_change(made) == NOW - timedelta(days=1)
