"""Surge or replace, hold or restore: from what is seen alone, so that a restarted operator decides the same."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fairlead_operator.core import names
from fairlead_operator.core.build import build_objects
from fairlead_operator.core.build.revision import build_revision
from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.fingerprint import attempt
from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import observe
from fairlead_operator.core.revisions import Failure, Revision, Rollout
from fairlead_operator.core.seen import Accelerators, EngineState, Observed, Snapshot
from fairlead_operator.core.status import build_status
from unit.operator.builders import (
    NOW,
    PodBuilder,
    ServiceBuilder,
    crashed,
    deployment,
    event,
    overdue,
    ready,
    record,
    replica_failure,
    service,
    snapshot,
    starting,
    unscheduled,
    waiting,
)

FORMER = service().replicas(2)
WANTED = FORMER.spec("engine", seed=1)
FULL = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
WRONG = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
TOO_SMALL = record("KVCacheTooSmall", "3072 tokens fit")


def asks(**rollout: Any) -> ServiceBuilder:
    """The changed spec with these fields of `rollout`."""
    return WANTED.top(rollout=rollout)


def waits(seconds: int, message: str = FULL, reason: str = "Unschedulable") -> PodBuilder:
    """A pod that the scheduler has had no node for that long."""
    pod = unscheduled(message, reason)
    pod.facts["conditions"][0]["lastTransitionTime"] = rfc3339(NOW - timedelta(seconds=seconds))
    return pod


def nominated(pod: Manifest) -> Manifest:
    """The scheduler has pods of lower priority leave a node for it."""
    return {**pod, "status": {**pod["status"], "nominatedNodeName": "node-1"}}


def beside_what_fails(pod: Manifest) -> Manifest:
    """Somebody added a container to it that ends again and again."""
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    proxy = {
        "name": "proxy",
        "restartCount": 9,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended,
    }
    return {**pod, "status": {**pod["status"], "containerStatuses": [*pod["status"]["containerStatuses"], proxy]}}


def live(asked: ServiceBuilder, *conditions: Manifest, replaces: str = "") -> Manifest:
    """The Deployment as it is; `replaces`: one by one, for that reason."""
    made = deployment(asked, *conditions)
    if replaces:
        made["metadata"]["annotations"] = {names.NO_ROOM: replaces}
        made["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 1}
    return made


def history(asked: ServiceBuilder, failure: Failure | None = None) -> tuple[Manifest, ...]:
    """The former revision has served, the wanted one is new."""
    former = replace(FORMER.revision, served=True)
    wanted = replace(asked.revision, number=2, failure=failure)
    return tuple(build_revision(asked.resolved, revision) for revision in (former, wanted))


def look(asked: ServiceBuilder, made: Manifest, *pods: Manifest, failure: Failure | None = None) -> Snapshot:
    """In the middle of a rollout from FORMER to what is asked."""
    return snapshot(asked, *pods, children=(made, *history(asked, failure)))


def seen(asked: ServiceBuilder, made: Manifest, *pods: Manifest, failure: Failure | None = None) -> Observed:
    return observe(look(asked, made, *pods, failure=failure), asked.outcome)


def rollout(of: Observed) -> Rollout:
    assert of.rollout is not None
    return of.rollout


def old(index: int, pod: PodBuilder | None = None) -> Manifest:
    return (pod or ready()).named(f"old-{index}").of(FORMER)


def new(index: int, pod: PodBuilder, asked: ServiceBuilder = WANTED) -> Manifest:
    return pod.named(f"new-{index}").of(asked)


@pytest.mark.parametrize(
    ("asked", "made", "pods", "surge"),
    [
        pytest.param(asks(), live(FORMER), [old(0), old(1)], True, id="it begins: a surge is tried"),
        pytest.param(asks(), live(FORMER, replaces="the last one found no room"), [old(0), old(1)], True, id="another rollout's strategy is not this one's"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(59))], True, id="no room yet"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(60))], False, id="no room for a minute"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), nominated(new(0, waits(599)))], True, id="the scheduler makes room by itself"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), nominated(new(0, waits(600)))], False, id="it does not come to it"),
        pytest.param(asks(surgeWaitSeconds=5), live(WANTED), [old(0), old(1), new(0, waits(5))], False, id="no room for as long as it may take"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(900, "held", "SchedulingGated"))], False, id="a queue does not let it in"),
        pytest.param(asks(), live(WANTED, replica_failure('pods "x" is forbidden: exceeded quota: gpus')), [old(0), old(1)], False, id="the quota does not let it be made"),
        pytest.param(asks(), live(WANTED, replica_failure("failed quota: processors: must specify limits.cpu for: engine")), [old(0), old(1)], True, id="the quota asks for what the pod does not say: no pod that goes makes room for that"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(60, "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."))], False, id="a claim that one pod alone may have"),
        pytest.param(asks(), live(WANTED, replica_failure("PodSecurity forbids it")), [old(0), old(1)], True, id="a policy refuses it: taking an old pod away would not help"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(900, WRONG))], True, id="no node has the label: taking an old pod away would not help"),
        pytest.param(asks(), live(WANTED), [old(0), old(1, ready().deleting()), new(0, waits(900))], True, id="a stopping pod still holds what will be free"),
        pytest.param(asks(), live(WANTED), [old(0), old(1, ready().deleting(61)), new(0, waits(900))], False, id="a stopping pod is long past its time, as on a node that is lost"),
        pytest.param(asks(), live(WANTED), [old(0), old(1, ready().deleting(61)), old(2, ready().deleting()), new(0, waits(900))], True, id="one of two stopping pods may still come free"),
        pytest.param(asks(), live(WANTED), [old(0), new(0, ready()), new(1, waits(300))], True, id="the one before found room: this one waited for an old pod to drain"),
        pytest.param(asks(), live(WANTED), [old(0), new(0, ready()), new(1, waits(60 + 335))], False, id="the old pod is long gone, and somebody else took its place"),
        pytest.param(asks(), live(WANTED, replaces="full"), [old(0), new(0, starting())], False, id="it replaces: it goes on so"),
        pytest.param(asks(), live(WANTED, replaces="full"), [new(0, ready()), new(1, starting())], False, id="until all are Ready"),
        pytest.param(asks(), live(WANTED, replaces="full"), [new(0, ready()), new(1, ready())], True, id="it is over"),
        pytest.param(asks(strategy="Surge"), live(WANTED), [old(0), old(1), new(0, waits(900))], True, id="a surge is insisted on"),
        pytest.param(asks(strategy="Surge"), live(WANTED, replaces="full"), [old(0), new(0, starting())], True, id="a surge is insisted on from now on"),
        pytest.param(asks(strategy="Replace"), live(FORMER), [old(0), old(1)], False, id="no surge is wanted"),
    ],
)  # fmt: skip
def test_surge_or_replace(asked: ServiceBuilder, made: Manifest, pods: list[Manifest], surge: bool) -> None:  # noqa: FBT001
    assert rollout(seen(asked, made, *pods)).surge == surge


@pytest.mark.parametrize(("largest", "surge"), [(1, False), (0, True)])
def test_no_pod_goes_for_one_that_no_node_could_hold(largest: int, surge: bool) -> None:  # noqa: FBT001
    pods = old(0), old(1), new(0, waits(600))
    at = replace(look(asks(), live(WANTED), *pods), accelerators=Accelerators(8, 0, 0, largest))

    assert rollout(observe(at, asks().outcome)).surge == surge


def test_a_volume_that_a_pod_on_another_node_holds_is_given_to_the_new_one() -> None:
    claim = service().model("pvc://models/a")
    wanted = claim.spec("engine", seed=1)
    said = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) old-0'
    revisions = replace(claim.revision, served=True), replace(wanted.revision, number=2)
    kept = tuple(build_revision(wanted.resolved, each) for each in revisions)

    def surges(seconds: int) -> bool:
        pods = waiting("ContainerCreating").named("new-0").of(wanted), ready().named("old-0").of(claim)
        told = (event("FailedAttachVolume", said, seconds_ago=seconds),)
        of = observe(snapshot(wanted, *pods, children=(live(wanted), *kept), events=told), wanted.outcome)
        assert conditions(of)["Scheduled"].reason == "Unschedulable"
        assert "spec.rollout.strategy" in conditions(of)["Scheduled"].message
        return rollout(of).surge

    assert surges(60)
    assert not surges(60 + 335), "longer than an old pod may take to drain"


def test_the_strategy_and_its_cause_stand_in_the_deployment() -> None:
    decided = rollout(seen(asks(), live(WANTED), old(0), old(1), new(0, waits(60))))
    made = build_objects(asks().resolved, decided)[-1]
    made["metadata"] |= {"generation": 2, "uid": "uid-deployment"}

    again = rollout(seen(asks(), made, old(0), new(0, starting())))

    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert (again.surge, again.no_room) == (False, decided.no_room)
    assert "60 s: pod new-0 needs 1 nvidia.com/gpu" in decided.no_room


def test_it_looks_again_when_the_wait_is_over() -> None:
    of = seen(asks(), live(WANTED), old(0), old(1), new(0, waits(20)))

    assert of.recheck_at == NOW + timedelta(seconds=40)


def test_it_looks_again_when_a_stopping_pod_should_be_long_gone() -> None:
    """Of a node that is lost nobody hears anything more."""
    of = seen(asks(), live(WANTED), old(0), old(1, ready().deleting(-30)), new(0, waits(900)))

    assert of.recheck_at == NOW + timedelta(seconds=30 + 60)


FAILS = crashed(TOO_SMALL, times=2)


@pytest.mark.parametrize(
    ("asked", "made", "pods", "blocked", "restored"),
    [
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, crashed(TOO_SMALL))], "", False, id="once may be chance"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, FAILS)], "KVCacheTooSmall", False, id="twice is enough: it holds where it surges"),
        pytest.param(asks(onFailure="Restore"), live(WANTED), [old(0), old(1), new(0, FAILS)], "KVCacheTooSmall", True, id="unless it is to restore"),
        pytest.param(asks(), live(WANTED, replaces="full"), [old(0), new(0, FAILS)], "KVCacheTooSmall", True, id="it restores where it replaces"),
        pytest.param(asks(strategy="Replace"), live(WANTED, replaces="full"), [old(0), new(0, FAILS)], "KVCacheTooSmall", True, id="also if that was asked for"),
        pytest.param(asks(onFailure="Hold"), live(WANTED, replaces="full"), [old(0), new(0, FAILS)], "KVCacheTooSmall", False, id="unless it is to hold"),
        pytest.param(asks(), live(WANTED, replaces="full"), [new(0, FAILS)], "KVCacheTooSmall", True, id="even when no old pod is left"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, crashed(exit_code=137, times=4))], "", False, id="what a restart may cure is waited for"),
        pytest.param(asks(), live(WANTED, replaces="full"), [old(0), beside_what_fails(new(0, starting()))], "", False, id="so is what somebody added to the pod"),
        pytest.param(asks(), live(WANTED, overdue()), [old(0), old(1), new(0, crashed(exit_code=137, times=9).placed(1860))], "EngineDied", False, id="until the deadline"),
        pytest.param(asks(), live(WANTED, overdue()), [old(0), old(1), new(0, starting().placed(1860))], "RolloutBlocked", False, id="a deadline without a cause"),
        pytest.param(asks(), live(WANTED, overdue(), replaces="full"), [new(0, ready()), new(1, waits(9000).aged(9000))], "", False, id="it serves where it found room: the former one would find no more"),
        pytest.param(asks(), live(WANTED, overdue(), replaces="full"), [new(0, ready()), nominated(new(1, waits(9000).aged(9000)))], "", False, id="the same while the scheduler makes room"),
        pytest.param(asks(), live(WANTED, overdue(), replaces="full"), [old(0), new(0, ready()), new(1, waits(9000).aged(9000))], "InsufficientAccelerators", True, id="a former pod has what it lacks"),
        pytest.param(asks(), live(FORMER, overdue()), [old(0), old(1)], "", False, id="the deadline of the rollout before"),
        pytest.param(asks(), live(WANTED), [new(0, ready()), new(1, ready())], "", False, id="all is well"),
        pytest.param(asks().replicas(0), live(WANTED), [], "", False, id="nothing is wanted"),
    ],
)  # fmt: skip
def test_hold_or_restore(
    asked: ServiceBuilder,
    made: Manifest,
    pods: list[Manifest],
    blocked: str,
    restored: bool,  # noqa: FBT001
) -> None:
    decided = rollout(seen(asked, made, *pods))

    assert (decided.failure.code if decided.failure else "") == blocked
    assert decided.restored == restored
    assert decided.target.template == (FORMER if restored else WANTED).revision.template


NO_SECRET = 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found'
NO_DISK = 'MountVolume.MountDevice failed for volume "model" : rpc error: code = Internal desc = no such device'


@pytest.mark.parametrize(
    ("asked", "said", "code"),
    [
        pytest.param(asks().spec("serving", apiKeySecretRef={"name": "keys", "key": "all"}), NO_SECRET, "SecretNotFound", id="a Secret"),
        pytest.param(asks().model("pvc://models/a"), NO_DISK, "VolumeNotFound", id="a volume"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("seconds", "restored"), [(15, False), (299, False), (300, True)])
def test_what_comes_a_little_later_than_the_pod_that_misses_it_takes_nothing_back(
    asked: ServiceBuilder,
    said: str,
    code: str,
    seconds: int,
    restored: bool,  # noqa: FBT001
) -> None:
    pods = new(0, waiting("ContainerCreating").placed(seconds), asked), old(0)
    children = live(asked, replaces="full"), *history(asked)

    of = observe(
        snapshot(asked, *pods, children=children, events=(event("FailedMount", said, count=5),)), asked.outcome
    )

    decided = rollout(of)
    assert (decided.failure.code if decided.failure else "") == (code if restored else "")
    assert decided.restored == restored
    assert conditions(of)["Stalled"].reason == ("RolloutBlocked" if restored else code), "it is told at once"


def test_a_second_crash_that_is_the_first_of_its_cause_takes_nothing_back() -> None:
    asked = asks()
    first = look(asked, live(WANTED, replaces="full"), old(0), new(0, crashed(exit_code=137, seconds_ago=300)))
    asked = asked.with_status(build_status(first, asked.outcome, observe(first, asked.outcome)))

    of = seen(asked, live(WANTED, replaces="full"), old(0), new(0, crashed(TOO_SMALL, times=2)))

    assert rollout(of).failure is None
    assert not rollout(of).restored


DRAINS = FORMER.spec("serving", requestTimeoutSeconds=1800)
LONG = DRAINS.spec("engine", seed=1).top(rollout={"strategy": "Replace"})
QUEUED = "scheduling is blocked due to non-empty scheduling gates"
#: Seconds: what the Deployment gives a start, and what an old pod may take to stop.
START, STOP = 1860, 1835


def late(pod: PodBuilder, *others: Manifest, asked: ServiceBuilder = LONG, of: ServiceBuilder = DRAINS) -> Observed:
    """A rollout that replaces and is past the Deployment's deadline, with this new pod."""
    former, wanted = replace(of.revision, served=True), replace(asked.revision, number=2)
    kept = tuple(build_revision(asked.resolved, revision) for revision in (former, wanted))
    pods = (new(0, pod, asked), *others)
    return observe(snapshot(asked, *pods, children=(live(asked, overdue(), replaces="full"), *kept)), asked.outcome)


@pytest.mark.parametrize(
    ("of", "blocked", "look"),
    [
        pytest.param(late(waits(START).aged(START), ready().deleting(-600).named("old-1").of(DRAINS)), "", 600 + 60, id="it waits for an old pod to drain"),
        pytest.param(late(waits(START).aged(START)), "", STOP, id="the old pod has just gone, and the scheduler has not looked again"),
        pytest.param(late(waits(START).aged(START + STOP)), "InsufficientAccelerators", None, id="no old pod can drain any longer: somebody else has the accelerators"),
        pytest.param(late(starting().aged(START)), "", START - 30, id="it has its node and starts"),
        pytest.param(late(crashed(exit_code=137, times=1).aged(START)), "", START - 600, id="it has died once since, and a restart may cure that"),
        pytest.param(late(starting().placed(START)), "RolloutBlocked", None, id="it has had the time of a start"),
        pytest.param(late(crashed(exit_code=137, times=9).placed(START)), "EngineDied", None, id="it died again and again for as long"),
        pytest.param(late(waits(9000, WRONG).aged(9000)), "Unschedulable", None, id="no node has the label that it asks for: the former one may have"),
        pytest.param(late(waits(9000, QUEUED, "SchedulingGated").aged(9000)), "", None, id="a queue holds it, at whose end the former one would stand"),
        pytest.param(late(waits(9000, QUEUED, "SchedulingGated").aged(9000), asked=LONG.spec("placement", queueName="no-such-queue")), "Queued", None, id="another queue than the former one's, which may not exist"),
    ],
)  # fmt: skip
def test_what_comes_before_a_start_takes_nothing_of_its_time(of: Observed, blocked: str, look: int | None) -> None:
    decided = rollout(of)

    assert (decided.failure.code if decided.failure else "") == blocked
    assert decided.restored == bool(blocked)
    assert of.recheck_at == (None if look is None else NOW + timedelta(seconds=look))


def test_a_first_start_that_fails_is_no_rollout() -> None:
    of = observe(snapshot(WANTED, FAILS), WANTED.outcome)

    assert rollout(of).failure is None


def test_without_a_revision_that_served_nothing_can_be_restored() -> None:
    of = observe(
        snapshot(asks(onFailure="Restore"), old(0), new(0, FAILS), live=WANTED), asks(onFailure="Restore").outcome
    )

    assert rollout(of).failure is not None
    assert rollout(of).wanted.failure is None
    assert not rollout(of).restored


def failed(asked: ServiceBuilder, **spec: Any) -> Failure:
    """What a try of this spec left behind."""
    resolved = asked.top(**spec).resolved
    return Failure("KVCacheTooSmall", "pod new-0: 3072 tokens fit", attempt(resolved.spec, {}))


@pytest.mark.parametrize(
    ("asked", "failure", "restored"),
    [
        pytest.param(asks(), failed(asks()), True, id="this try has failed"),
        pytest.param(asks().replicas(5), failed(asks()), True, id="a scaler scales: that is no other try"),
        pytest.param(asks(strategy="Surge"), failed(asks()), False, id="the user changes something: another try"),
        pytest.param(asks(), None, False, id="nothing has failed"),
    ],
)
def test_what_was_restored_stays_until_another_try(
    asked: ServiceBuilder,
    failure: Failure | None,
    restored: bool,  # noqa: FBT001
) -> None:
    of = seen(asked, live(FORMER), old(0), old(1), failure=failure)

    assert rollout(of).restored == restored


def retried(asked: ServiceBuilder) -> ServiceBuilder:
    """With the annotation that asks for another try."""
    raw = deepcopy(asked.raw)
    raw["metadata"]["annotations"] = {names.RETRY: "1"}
    return ServiceBuilder(raw)


@pytest.mark.parametrize(
    "another",
    [
        pytest.param(retried(asks()), id="after the annotation to retry"),
        pytest.param(asks(onFailure="Hold"), id="after it was to hold"),
    ],
)
@pytest.mark.parametrize("pods", [2, 1, 0])
def test_a_revision_that_has_recovered_is_not_taken_back_with_what_made_it_another_try(
    another: ServiceBuilder, pods: int
) -> None:
    """The cause was outside and passed. Weeks later the annotation goes, or the field, and the try that failed is asked for again."""
    serving = [new(index, ready()) for index in range(2)]
    recovered = rollout(seen(another, live(WANTED), *serving, failure=failed(asks())))
    kept = tuple(build_revision(asks().resolved, each) for each in (replace(FORMER.revision, served=True), recovered.wanted))  # fmt: skip

    then = rollout(observe(snapshot(asks(), *serving[:pods], children=(live(WANTED), *kept)), asks().outcome))

    assert recovered.wanted.served
    assert names.FAILED not in kept[1]["metadata"]["annotations"], (
        "one write says that it serves and forgets the failure"
    )
    assert not then.restored
    assert build_revision(asks().resolved, then.wanted) == kept[1], "nothing is left to write"


def test_a_failure_that_an_earlier_release_left_on_a_revision_that_serves_takes_nothing_back() -> None:
    wanted = replace(WANTED.revision, number=2, served=True, failure=failed(asks()))
    kept = tuple(build_revision(asks().resolved, each) for each in (replace(FORMER.revision, served=True), wanted))

    of = observe(snapshot(asks(), new(0, ready()), new(1, ready()), children=(live(WANTED), *kept)), asks().outcome)

    assert not rollout(of).restored
    assert rollout(of).failure is None


def test_another_try_that_has_not_served_yet_keeps_what_is_known_of_the_first() -> None:
    of = seen(retried(asks()), live(WANTED), old(0), new(0, starting()), failure=failed(asks()))

    assert rollout(of).wanted.failure == failed(asks())
    assert not rollout(of).restored


def test_killed_between_the_two_writes_of_a_restore_the_end_is_the_same() -> None:
    """The revision has failed, by its annotation; the Deployment does not know it yet."""
    of = seen(asks(), live(WANTED, replaces="full"), old(0), new(0, FAILS), failure=failed(asks()))

    assert rollout(of).restored
    assert not rollout(of).surge, "a surge might find no room while the failed pod holds it"


def test_the_annotation_to_retry_is_another_try() -> None:
    of = seen(retried(asks()), live(FORMER), old(0), old(1), failure=failed(asks()))

    assert not rollout(of).restored


def test_a_restored_service_says_what_happened_and_serves() -> None:
    asked = asks().with_status({"lastFailure": {"code": "KVCacheTooSmall", "message": "x", "time": rfc3339(NOW), "pod": "new-0", "count": 2, "template": WANTED.revision.template.hash}})  # fmt: skip
    at = look(asked, live(FORMER), old(0), old(1), failure=failed(asks()))
    of = observe(at, asked.outcome)
    status = build_status(at, asked.outcome, of)
    said = conditions(of)

    assert said["UpToDate"].reason == said["Ready"].reason == said["Stalled"].reason == "RolloutBlocked"
    assert "KVCacheTooSmall, pod new-0: 3072 tokens fit" in said["UpToDate"].message
    assert f"former revision {FORMER.revision.name} is restored" in said["UpToDate"].message
    assert said["Available"].status == said["Scheduled"].status == said["EngineHealthy"].status == "True"
    assert (status["updatedReplicas"], status["readyReplicas"], status["replicas"]) == (0, 0, 2)
    assert status["lastFailure"]["count"] == 2


ONE = asks().replicas(1)


@pytest.mark.parametrize(
    ("asked", "made", "pods", "words"),
    [
        pytest.param(asks(), live(WANTED), [old(0), old(1)], "surging: a new pod is to be Ready before an old one goes", id="it begins"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, starting())], "surging, one accelerator set is free", id="room was found"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, waits(1))], "old pods give way one by one, and 1 of 2 replicas serve meanwhile", id="no room yet"),
        pytest.param(ONE, live(WANTED), [old(0), new(0, waits(1))], "and no replica serves until the new one is Ready", id="a single replica is warned in time"),
        pytest.param(asks(strategy="Surge"), live(WANTED), [old(0), old(1), new(0, waits(900))], "waits for it, as spec.rollout.strategy asks", id="no room, and no other way"),
        pytest.param(asks(), live(WANTED, replaces="no room was found"), [old(0), new(0, starting())], "replacing one by one, since no room was found; 1 of 2 replicas serve meanwhile", id="it gave up surging"),
        pytest.param(asks(strategy="Replace"), live(WANTED), [old(0), new(0, starting())], "replacing one by one, as spec.rollout.strategy asks", id="as asked"),
        pytest.param(asks(strategy="Replace").replicas(1), live(WANTED), [], "no replica serves until the new one is Ready", id="nothing serves now"),
        pytest.param(ONE, live(WANTED, replaces="no room was found"), [old(0, ready().deleting()), new(0, waits(1))], "1 of 1 pods of this spec exist; replacing one by one, since no room was found; no replica serves until", id="the place of the old pod is empty yet"),
        pytest.param(asks(strategy="Replace").replicas(1), live(WANTED), [new(0, ready())], "the next rollout replaces the only replica", id="said beforehand"),
        pytest.param(asks(), live(WANTED), [old(0), old(1), new(0, FAILS)], "KVCacheTooSmall, 3072 tokens fit; 2 former pod(s) go on serving", id="it holds"),
        pytest.param(asks(onFailure="Hold"), live(WANTED, replaces="x"), [new(0, FAILS)], "no former pod is left to serve", id="it holds, and nothing serves"),
    ],
)  # fmt: skip
def test_what_up_to_date_says(asked: ServiceBuilder, made: Manifest, pods: list[Manifest], words: str) -> None:
    assert words in conditions(seen(asked, made, *pods))["UpToDate"].message


def test_a_revision_has_served_once_all_its_replicas_were_ready() -> None:
    first: Revision = rollout(observe(snapshot(FORMER, ready(), starting()), FORMER.outcome)).wanted
    then: Revision = rollout(observe(snapshot(FORMER, ready(), ready()), FORMER.outcome)).wanted

    assert (first.served, then.served) == (False, True)


HUB = service().replicas(2).model("hf://org/model", revision="main")
ONE_COMMIT, OTHER_COMMIT = "1" * 40, "2" * 40


def says(commit: str) -> EngineState:
    """What the /state of a pod says."""
    return EngineState(NOW, phase="ready", model={"revision": commit})


def told(asked: ServiceBuilder, *commits: str) -> Observed:
    """Ready pods, each with the commit that it told."""
    states = {f"uid-mistral-{index}": says(commit) for index, commit in enumerate(commits)}
    return observe(snapshot(asked, *[ready()] * len(commits), states=states), asked.outcome)


@pytest.mark.parametrize(
    ("asked", "commits", "expected"),
    [
        pytest.param(HUB, ["", ""], "", id="nobody has said yet"),
        pytest.param(HUB, ["", ONE_COMMIT], ONE_COMMIT, id="the first to say"),
        pytest.param(HUB, [OTHER_COMMIT, ONE_COMMIT], OTHER_COMMIT, id="of two, one"),
        pytest.param(HUB, ["main; rm -rf", ""], "", id="a pod may say anything"),
        pytest.param(HUB.model("hf://org/model", revision=ONE_COMMIT), [ONE_COMMIT, ONE_COMMIT], "", id="what does not move needs no pin"),
    ],
)  # fmt: skip
def test_the_commit_that_is_pinned(asked: ServiceBuilder, commits: list[str], expected: str) -> None:
    decided = rollout(told(asked, *commits))
    pins = [made["data"] for made in build_objects(asked.resolved, decided) if made["metadata"]["name"] == asked.revision.name and made["kind"] == "ConfigMap"]  # fmt: skip

    assert decided.wanted.commit == expected
    assert pins == ([{"commit": expected}] if expected else [])


def test_a_pin_stays_whatever_pods_say_later() -> None:
    pinned = build_revision(HUB.resolved, replace(HUB.revision, commit=ONE_COMMIT))
    states = {"uid-mistral-0": says(OTHER_COMMIT)}

    of = observe(snapshot(HUB, ready(), children=(deployment(HUB), pinned), states=states), HUB.outcome)

    assert rollout(of).wanted.commit == ONE_COMMIT


@pytest.mark.parametrize(
    ("commits", "reason"),
    [
        pytest.param([ONE_COMMIT, ONE_COMMIT], "AllPodsCurrent", id="the same"),
        pytest.param([ONE_COMMIT, ""], "AllPodsCurrent", id="one has not said"),
        pytest.param([ONE_COMMIT, OTHER_COMMIT], "MixedRevisions", id="two commits"),
    ],
)
def test_replicas_that_serve_different_weights(commits: list[str], reason: str) -> None:
    verdict = conditions(told(HUB, *commits))["UpToDate"]

    assert verdict.reason == reason
    if reason == "MixedRevisions":
        assert "111111111111 is pinned, mistral-1 serves 222222222222; delete the pods" in verdict.message


def restarted(
    asked: ServiceBuilder, replicas: int, updated: int, *, replaces: str = "", generation: int = 1
) -> Observed:
    """`kubectl rollout restart` of what has served: the pods to come are of an equal template, and find no room."""
    made = live(asked, replaces=replaces)
    made["metadata"]["generation"] = generation
    made["status"] |= {"replicas": replicas, "updatedReplicas": updated}
    served = build_revision(asked.resolved, replace(asked.revision, served=True))
    pods = new(0, ready(), asked), new(1, ready(), asked), new(2, waits(60), asked)
    return observe(snapshot(asked, *pods, children=(made, served)), asked.outcome)


@pytest.mark.parametrize(
    ("replaces", "generation"),
    [("", 1), ("full", 2)],
    ids=["it is seen", "our own write is not seen by the Deployment's controller yet"],
)
def test_a_restart_by_hand_finds_its_way_where_there_is_no_room(replaces: str, generation: int) -> None:
    at = restarted(asks(), 3, 1, replaces=replaces, generation=generation)

    assert not rollout(at).surge
    told = conditions(at)["UpToDate"]
    assert (told.status, told.reason) == ("False", "RollingOut")
    assert "2 pods are replaced by others of the same spec" in told.message


def test_a_pod_too_many_without_a_rollout_is_none() -> None:
    assert rollout(restarted(asks(), 3, 3)).surge
