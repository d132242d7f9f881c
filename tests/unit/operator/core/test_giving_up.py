"""Five equal failures of a template that never served: no pod is kept, and everybody is told why and how to go on."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.giving_up import attempt, depends_on_replica_sets, gives_up, pods_wanted
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import observe
from fairlead_operator.core.status import build_status
from fairlead_operator.core.transitions import events
from unit.operator.builders import (
    PodBuilder,
    ServiceBuilder,
    crashed,
    deployment,
    observed,
    ready,
    record,
    service,
    snapshot,
    starting,
)

KV = record("KVCacheTooSmall", "4096 tokens need 2 GiB, 1.5 GiB are there", "spec.engine.maxModelLen", "3072")


def failed(times: int = 5, *, owner: ServiceBuilder | None = None, **changes: Any) -> ServiceBuilder:
    """A service whose template has failed so often; `changes` are of its status.lastFailure, or of its status."""
    owner = owner or service()
    seen = observed(owner)
    last = {
        "code": "KVCacheTooSmall",
        "message": "4096 tokens need 2 GiB, 1.5 GiB are there; set spec.engine.maxModelLen to 3072",
        "field": "spec.engine.maxModelLen",
        "time": "2026-11-24T11:59:00Z",
        "pod": "mistral-0",
        "count": times,
        "template": seen.template,
        "attempt": attempt(owner.raw),
    }
    served = changes.pop("servedTemplate", None)
    status = {"lastFailure": {**last, **changes}, **({"servedTemplate": served} if served else {})}
    return owner.with_status(status)


def edited(owner: ServiceBuilder, **metadata: Any) -> ServiceBuilder:
    raw = deepcopy(owner.raw)
    raw["metadata"] |= metadata
    return ServiceBuilder(raw)


TEMPLATE = observed(service()).template


@pytest.mark.parametrize(
    ("owner", "pods", "expected"),
    [
        pytest.param(failed(5), [crashed(KV, times=5)], True, id="five equal failures"),
        pytest.param(failed(5), [], True, id="its pods are gone: it stays so"),
        pytest.param(failed(5), [crashed(KV).deleting()], True, id="its pods are going"),
        pytest.param(failed(4), [crashed(KV, times=4)], False, id="four"),
        pytest.param(failed(9, code="EngineDied"), [crashed()], False, id="a death that the user cannot cure"),
        pytest.param(failed(9, code="HubUnreachable"), [crashed()], False, id="a network that may come back"),
        pytest.param(failed(9, code="FromTheFuture"), [crashed()], False, id="a code that nobody knows"),
        pytest.param(failed(5, servedTemplate=TEMPLATE), [crashed(KV)], False, id="it has served before"),
        pytest.param(failed(5, servedTemplate="0123456789"), [crashed(KV)], True, id="another template has served before"),
        pytest.param(failed(5), [ready(), crashed(KV)], False, id="one replica serves"),
        pytest.param(failed(5), [ready().old(), crashed(KV)], False, id="old pods serve: the rollout decides"),
        pytest.param(failed(5), [ready().old().deleting(), crashed(KV)], True, id="the last old pod is going, and nothing makes another"),
        pytest.param(failed(5, template="0123456789"), [starting()], False, id="another template failed"),
        pytest.param(edited(failed(5), generation=4), [], False, id="the spec was changed"),
        pytest.param(edited(failed(5), annotations={"fairlead.dev/retry": "1"}), [], False, id="a retry was asked for"),
        pytest.param(failed(5, owner=edited(service(), annotations={"fairlead.dev/retry": "1"})), [], True, id="the retry failed five times too"),
        pytest.param(service(), [crashed(KV)], False, id="a first failure"),
    ],
)  # fmt: skip
def test_who_is_given_up(owner: ServiceBuilder, pods: list[PodBuilder], expected: bool) -> None:  # noqa: FBT001
    seen = observed(owner, *pods)

    assert (seen.given_up is not None) == expected
    assert pods_wanted(owner.resolved, seen).replicas == (0 if expected else 1)


def replica_set(replicas: int, template: str = "0123456789", owner: str = "uid-deployment") -> Manifest:
    """A ReplicaSet that is to have so many pods; of the former template, if nothing else is said."""
    return {
        "metadata": {
            "name": "mistral-x",
            "ownerReferences": [{"kind": "Deployment", "uid": owner, "controller": True}] if owner else [],
        },
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {"fairlead.dev/template": template}}},
        },
    }


@pytest.mark.parametrize(
    ("pods", "replica_sets", "expected"),
    [
        pytest.param([ready().old().deleting(), crashed(KV)], [replica_set(1)], False, id="the last old pod was evicted: another is on its way"),
        pytest.param([crashed(KV)], [replica_set(1)], False, id="the last old pod was deleted by force"),
        pytest.param([ready().old().failed("Evicted", "disk"), crashed(KV)], [replica_set(1)], False, id="the last old pod's node ran full"),
        pytest.param([crashed(KV)], [replica_set(0)], True, id="the old pods have given way"),
        pytest.param([crashed(KV)], [replica_set(1, TEMPLATE)], True, id="only what fails is to have pods"),
        pytest.param([crashed(KV)], [replica_set(1, owner="uid-other")], True, id="somebody else's"),
        pytest.param([crashed(KV)], [replica_set(1, owner="")], False, id="nobody's: our Deployment is about to adopt it"),
    ],
)  # fmt: skip
def test_what_an_old_replica_set_still_keeps_is_not_given_up(
    pods: list[PodBuilder],
    replica_sets: list[Manifest],
    expected: bool,  # noqa: FBT001
) -> None:
    owner = failed(5)
    at = snapshot(owner, *pods, replica_sets=tuple(replica_sets))
    seen = observe(at, owner.outcome)

    assert (seen.given_up is not None) == expected
    assert pods_wanted(owner.resolved, seen).replicas == (0 if expected else 1)
    assert not gives_up(owner.raw, owner.raw["status"], seen), "nothing new is to be looked at again"


@pytest.mark.parametrize(
    ("owner", "replicas", "expected"),
    [
        pytest.param(failed(5), 1, True, id="its pods are about to go"),
        pytest.param(failed(5), 0, False, id="they are gone"),
        pytest.param(failed(4), 1, False, id="it is not given up"),
    ],
)
def test_replica_sets_are_asked_for_once_and_not_at_rest(owner: ServiceBuilder, replicas: int, expected: bool) -> None:  # noqa: FBT001
    live = deployment(owner)
    live["spec"]["replicas"] = replicas

    assert depends_on_replica_sets(observed(owner, crashed(KV), children=(live,))) == expected


def test_without_a_deployment_any_replica_set_may_be_what_goes_on() -> None:
    """Somebody deleted the Deployment and left its pods: the next one would be made for no pods, and take them along."""
    at = snapshot(failed(5), crashed(KV), children=())
    assert depends_on_replica_sets(observe(at, failed(5).outcome))

    assert observe(replace(at, replica_sets=(replica_set(1, owner=""),)), failed(5).outcome).given_up is None


def test_another_value_of_the_annotation_is_another_try() -> None:
    tries = {attempt(edited(service(), annotations={"fairlead.dev/retry": value}).raw) for value in ("", "1", "2")}

    assert len(tries) == 3


def test_what_is_said() -> None:
    found = conditions(observed(failed(5)))

    assert {kind: f"{verdict.status}/{verdict.reason}" for kind, verdict in found.items()} == {
        "Accepted": "True/Valid",
        "Scheduled": "Unknown/GivenUp",
        "ModelAvailable": "Unknown/GivenUp",
        "EngineHealthy": "False/KVCacheTooSmall",
        "UpToDate": "Unknown/GivenUp",
        "Secured": "False/NoAPIKey",
        "Available": "False/KVCacheTooSmall",
        "Ready": "False/KVCacheTooSmall",
        "Stalled": "True/KVCacheTooSmall",
    }
    assert found["Stalled"].message == (
        "no pod is kept after 5 equal failures: 4096 tokens need 2 GiB, 1.5 GiB are there; set spec.engine.maxModelLen to 3072; "
        "it is tried again when the spec changes, or after: kubectl annotate infs mistral fairlead.dev/retry=$(date +%s) --overwrite"
    )
    assert found["Scheduled"].message.endswith("see condition EngineHealthy")


def test_a_model_that_is_not_there_is_told_in_its_own_condition() -> None:
    found = conditions(observed(failed(5, code="ModelNotFound")))

    assert (found["ModelAvailable"].reason, found["EngineHealthy"].status) == ("ModelNotFound", "True")


def test_a_service_that_is_put_to_sleep_says_that() -> None:
    assert conditions(observed(edited(failed(5).suspended(), generation=4)))["Available"].reason == "Suspended"


def _story(owner: ServiceBuilder, *pods: PodBuilder) -> dict[str, Any]:
    seen = snapshot(owner, *pods)
    return build_status(seen, owner.outcome, observe(seen, owner.outcome))


def test_five_crashes_one_after_the_other_end_it_and_a_restart_of_the_operator_forgets_none() -> None:
    """Each look knows nothing but the status that the one before has written."""
    status = _story(service())
    for crash in range(1, 6):
        pod = crashed(KV, times=crash, seconds_ago=600 - crash)
        owner = service().with_status(status)
        seen = observe(snapshot(owner, pod), owner.outcome)
        assert seen.given_up is None
        status = _story(owner, pod)
        assert gives_up(owner.raw, status, seen) == (crash == 5)

    after = _story(service().with_status(status))

    assert after["lastFailure"] == status["lastFailure"]
    assert after["replicaSummary"] == "0/1"
    assert [event.reason for event in events(status, after)] == ["GivenUp"]
    assert "annotate infs mistral" in events(status, after)[0].note
    assert events(after, after) == []


def test_under_a_rejection_nobody_looks_again_and_again() -> None:
    """The pods of the former spec go on failing, and nothing is given up before the spec is one again."""
    owner = failed(5)
    wrong = owner.spec("engine", extraArgs=["--api-key=x"])
    seen = observe(snapshot(wrong, crashed(KV, times=6), live=owner), wrong.outcome)
    assert seen.rejection is not None

    assert not gives_up(owner.raw, owner.raw["status"], seen)
