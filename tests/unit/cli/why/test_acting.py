"""Whether anybody acts, from the Lease and from how long a change went unseen."""

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


def test_a_status_that_is_written_is_no_change_of_the_spec() -> None:
    assert last_change(service(changed=60)) == NOW - timedelta(seconds=60)


def test_without_managed_fields_it_was_changed_when_it_was_made() -> None:
    made = service()
    del made["metadata"]["managedFields"]

    assert last_change(made) == NOW - timedelta(days=1)
