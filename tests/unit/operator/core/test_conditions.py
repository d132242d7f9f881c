"""Conditions: what is seen, in a sentence, and what is said about it."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fairlead_operator.core.build.revision import build_revision
from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.fingerprint import attempt
from fairlead_operator.core.observe import observe
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.refusal import Refusal
from fairlead_operator.core.rejection import name_taken
from fairlead_operator.core.revisions import Failure
from fairlead_operator.core.seen import EngineState, PodEvent
from fairlead_operator.core.status import build_status
from unit.operator.builders import (
    NOW,
    PodBuilder,
    ServiceBuilder,
    crashed,
    deployment,
    event,
    lost,
    observed,
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
from unit.operator.core.stated import CLAIM, GPU, KEYS, KV, stated


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        pytest.param(service().replicas(2), [ready(), ready()], "True/AllReplicasReady", id="two of two ready"),
        pytest.param(
            service().replicas(2),
            [ready(), crashed(KV)],
            "False/KVCacheTooSmall",
            id="one replica's cache is too small: that is the reason shown",
        ),
        pytest.param(
            service(),
            [ready().old(), starting()],
            "False/RollingOut",
            id="a ready pod of the old revision does not count",
        ),
        pytest.param(
            service(), [ready().old(), ready()], "False/RollingOut", id="the new one is ready, the old one not gone yet"
        ),
        pytest.param(service().replicas(2), [ready()], "False/RollingOut", id="a pod is not made yet"),
        pytest.param(
            service(), [ready(), ready().old().deleting()], "True/AllReplicasReady", id="the old one is on its way out"
        ),
        pytest.param(service(), [starting()], "False/Starting", id="it loads"),
        pytest.param(service(), [], "False/RollingOut", id="nothing is there yet"),
        pytest.param(service().replicas(0), [], "True/ScaledToZero", id="nothing wanted, nothing missing"),
        pytest.param(service().suspended(), [], "True/Suspended", id="suspended"),
        pytest.param(service().deleting(), [ready()], "False/Deleting", id="being deleted"),
        pytest.param(
            service(),
            [ready().ended_before(message=KV)],
            "True/AllReplicasReady",
            id="it failed once and has recovered",
        ),
        pytest.param(
            service(), [ready().deleting(), starting()], "False/Starting", id="a pod on its way out is not ready for us"
        ),
    ],
)
def test_ready(asked: ServiceBuilder, pods: list[PodBuilder], expected: str) -> None:
    assert stated(asked, *pods)["Ready"] == expected


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        pytest.param(
            service(),
            [ready().old(), crashed(KV)],
            "True/Serving",
            id="the old revision serves while the new one fails",
        ),
        pytest.param(
            service().replicas(3), [ready(), ready(), starting()], "True/Serving", id="one of three may be missing"
        ),
        pytest.param(
            service().replicas(3), [ready(), starting(), starting()], "False/Starting", id="two of three may not"
        ),
        pytest.param(service(), [starting()], "False/Starting", id="the only one is not there"),
        pytest.param(service(), [ready().deleting()], "False/RollingOut", id="a stopping pod gets no requests"),
        pytest.param(service(), [crashed(KV)], "False/KVCacheTooSmall", id="the cause is named"),
        pytest.param(service().replicas(0), [], "False/ScaledToZero", id="asleep"),
        pytest.param(service().suspended(), [], "False/Suspended", id="suspended"),
    ],
)
def test_available(asked: ServiceBuilder, pods: list[PodBuilder], expected: str) -> None:
    assert stated(asked, *pods)["Available"] == expected


@pytest.mark.parametrize(
    ("oldest", "newest", "expected", "beside"),
    [
        pytest.param(crashed(exit_code=137), crashed(KV), "KVCacheTooSmall", "EngineDied", id="the newest can never start: what may pass by itself does not hide that"),
        pytest.param(crashed(KV), crashed(exit_code=137), "KVCacheTooSmall", "EngineDied", id="the oldest can never start, and the newest does not hide it"),
        pytest.param(crashed(KV, seconds_ago=5), crashed(record("BadArgument"), seconds_ago=500), "KVCacheTooSmall", "BadArgument", id="of two that need the user, the oldest pod's, whichever crashed last"),
        pytest.param(crashed(record("BadArgument"), seconds_ago=500), crashed(KV, seconds_ago=5), "BadArgument", "KVCacheTooSmall", id="the same, the other way round"),
        pytest.param(crashed(KV), ready(), "KVCacheTooSmall", "", id="a healthy new pod hides no failing old one"),
        pytest.param(ready(), crashed(KV), "KVCacheTooSmall", "", id="a healthy old pod hides no failing new one"),
        pytest.param(crashed(KV), crashed(KV), "KVCacheTooSmall", "", id="both fail for the same reason"),
    ],
)  # fmt: skip
def test_no_pod_hides_another(oldest: PodBuilder, newest: PodBuilder, expected: str, beside: str) -> None:
    seen = observed(service().replicas(2), newest.aged(60), oldest.aged(3600))

    verdict = conditions(seen)["EngineHealthy"]

    assert verdict.reason == expected
    assert (f"(other pods: {beside})" in verdict.message) == bool(beside)
    assert verdict.message.index("; ") > verdict.message.find("(other pods"), "what to do comes last"


@pytest.mark.parametrize(
    ("pods", "ready", "stalled"),
    [
        pytest.param([unscheduled(GPU), crashed(KV, times=2)], "InsufficientAccelerators", "KVCacheTooSmall", id="a pod without a node comes first; what only the user can do is in Stalled"),
        pytest.param([crashed(record("ModelNotFound")), crashed(exit_code=137)], "ModelNotFound", None, id="the model before the engine"),
        pytest.param([waiting("CreateContainerConfigError", 'secret "proxy" not found'), unscheduled(GPU)], "SecretNotFound", None, id="the spec before the nodes"),
        pytest.param([ready().old(), crashed(KV)], "KVCacheTooSmall", None, id="a failing engine before the rollout that waits for it"),
    ],
)  # fmt: skip
def test_the_first_failing_cause_is_ready_s_reason(pods: list[PodBuilder], ready: str, stalled: str | None) -> None:
    found = conditions(observed(service().replicas(2), *pods))

    assert found["Ready"].reason == ready
    assert (found["Stalled"].reason if "Stalled" in found else None) == stalled


def test_a_further_crash_of_another_pod_changes_no_message() -> None:
    """Or the status of a large service that crash-loops would be written at every crash."""
    before = observed(service().replicas(2), crashed(KV, seconds_ago=90), crashed(KV, seconds_ago=60))
    after = observed(service().replicas(2), crashed(KV, seconds_ago=5), crashed(KV, seconds_ago=60))

    assert conditions(before)["EngineHealthy"] == conditions(after)["EngineHealthy"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([event("Failed", 'Failed to pull image "x": not found')], "Reconciling", id="once"),
        pytest.param([event("Failed", 'Failed to pull image "x": not found', count=2)], "Stalled", id="twice"),
        pytest.param([event("Failed", 'Failed to pull image "x": EOF'), event("Failed", 'Failed to pull image "x": 503')], "Stalled", id="twice, in other words"),
        pytest.param([event("Failed", 'Failed to pull image "x": EOF'), event("Failed", "Error: ImagePullBackOff", count=9)], "Reconciling", id="once, and then the kubelet only waited"),
        pytest.param([event("Failed", 'Failed to pull image "x": dial tcp 10.0.0.1:443: connection refused', count=9)], "Reconciling", id="a registry that is away may come back"),
    ],
)  # fmt: skip
def test_an_image_is_given_up_after_two_pulls(told: list[PodEvent], expected: str) -> None:
    found = stated(service(), waiting("ImagePullBackOff", "x"), events=tuple(told))

    assert [kind for kind in ("Reconciling", "Stalled") if kind in found] == [expected]


def test_a_change_to_image_volumes_that_was_taken_back_is_not_told_of_the_former_pods() -> None:
    """They have no image volume, and never wanted one."""
    former = service().model("hf://org/model")
    wanted = service()
    attempt_ = attempt(wanted.resolved.spec, {})
    revisions = replace(former.revision, served=True), replace(wanted.revision, number=2, failure=Failure("ModelNotFound", "no", attempt_))  # fmt: skip
    kept = tuple(build_revision(wanted.resolved, each) for each in revisions)
    pod = ready().of(former)

    found = stated(wanted, pod, children=(deployment(former), *kept))

    assert (found["Accepted"], found["UpToDate"]) == ("True/Valid", "False/RolloutBlocked")


def test_a_limit_that_a_policy_added_is_no_accelerator() -> None:
    wrong = service().spec("engine", extraArgs=["--port=1"])
    live = deployment(service())
    (engine,) = live["spec"]["template"]["spec"]["containers"]
    engine["resources"]["limits"] = {"cpu": "500m", "ephemeral-storage": "20Gi", **engine["resources"]["limits"]}

    seen = observed(wrong, ready(), children=(live,), live=service())

    assert (seen.accelerators, seen.accelerator) == (1, "nvidia.com/gpu")


def test_image_volumes_that_the_api_server_dropped() -> None:
    live = deployment(service())
    volumes = live["spec"]["template"]["spec"]["volumes"]
    live["spec"]["template"]["spec"]["volumes"] = [
        {"name": "model"} if volume["name"] == "model" else volume for volume in volumes
    ]
    found = stated(service(), starting(), children=(live,))

    assert (found["Accepted"], found["Ready"], found["Stalled"]) == (
        "False/MissingAPI",
        "False/MissingAPI",
        "True/MissingAPI",
    )
    assert stated(service(), starting())["Accepted"] == "True/Valid"


def test_a_rejected_spec_says_so_while_the_former_pods_serve() -> None:
    wrong = service().spec("engine", extraArgs=["--port=1"])
    found = stated(wrong, ready(), live=service())

    assert (found["Accepted"], found["Ready"], found["Available"]) == (
        "False/DeniedArgument",
        "False/DeniedArgument",
        "True/Serving",
    )
    assert found["UpToDate"] == "Unknown/NotAccepted"
    assert found["Stalled"] == "True/DeniedArgument"


def test_a_rejected_spec_that_never_ran() -> None:
    found = stated(service().spec("engine", extraArgs=["--port=1"]), children=(), live=service())

    assert found["Available"] == "False/DeniedArgument"
    assert {found[kind] for kind in ("Scheduled", "ModelAvailable", "EngineHealthy")} == {"Unknown/NotAccepted"}


def test_a_name_that_is_taken() -> None:
    seen = observe(snapshot(service(), children=()), name_taken("Service", "mistral"))

    assert conditions(seen)["Accepted"].reason == "NameTaken"


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        pytest.param(service(), [ready()], None, id="done"),
        pytest.param(service().replicas(0), [], None, id="asleep"),
        pytest.param(service(), [starting()], "Reconciling", id="on its way"),
        pytest.param(service(), [crashed(KV)], "Reconciling", id="the first failure may be chance"),
        pytest.param(service(), [crashed(KV, times=2)], "Stalled", id="the second equal one is not"),
        pytest.param(
            service(),
            [crashed(exit_code=137, times=5)],
            "Reconciling",
            id="a death that the user cannot cure is tried again",
        ),
        pytest.param(service(), [unscheduled(GPU)], "Reconciling", id="capacity may come"),
        pytest.param(service(), [waiting("ImagePullBackOff", "x")], "Reconciling", id="back-off comes after one try"),
        pytest.param(service().deleting(), [crashed(KV, times=9)], "Reconciling", id="it goes away"),
    ],
)
def test_reconciling_and_stalled_exclude_each_other(
    asked: ServiceBuilder, pods: list[PodBuilder], expected: str | None
) -> None:
    found = stated(asked, *pods)

    assert [kind for kind in ("Reconciling", "Stalled") if kind in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(299, "Reconciling", id="the volume may still be made"),
        pytest.param(300, "Stalled", id="the scheduler has looked again and again"),
    ],
)
def test_what_the_scheduler_refuses_for_minutes_it_has_refused_twice(seconds: int, expected: str) -> None:
    pod = unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.', seconds_ago=seconds)
    seen = observed(CLAIM, pod)

    assert expected in conditions(seen)
    assert seen.recheck_at == (NOW + timedelta(seconds=1) if expected == "Reconciling" else None)


def test_a_quota_may_come_free_and_does_not_stall() -> None:
    refusal = 'pods "mistral-x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1'
    found = stated(service(), children=(deployment(service(), replica_failure(refusal)),))

    assert (found["Scheduled"], found["Reconciling"]) == ("False/QuotaExceeded", "True/QuotaExceeded")


def test_a_failure_that_another_pod_of_this_template_had_before_stalls() -> None:
    template = observed(service()).template
    before = {"lastFailure": {"code": "KVCacheTooSmall", "template": template, "count": 2, "attempt": "3"}}

    assert "Stalled" in stated(service().with_status(before), crashed(KV))


def stalls(*sights: tuple[ServiceBuilder, list[PodBuilder]]) -> list[bool]:
    """Whether each look says so. It knows nothing but the status that the one before has written."""
    said: list[bool] = []
    status: dict[str, Any] = {}
    for asked, pods in sights:
        owner = asked.with_status(status)
        at = snapshot(owner, *pods)
        status = build_status(at, owner.outcome, observe(at, owner.outcome))
        said.append(any(condition["type"] == "Stalled" for condition in status["conditions"]))
    return said


def again(asked: ServiceBuilder) -> ServiceBuilder:
    """Its next generation, with the same template."""
    raw = deepcopy(asked.raw)
    raw["metadata"]["generation"] += 1
    return ServiceBuilder(raw)


ONE, TWO = service(), service().replicas(2)
DIED = crashed(exit_code=137, seconds_ago=500)
BAD = record("BadArgument")


@pytest.mark.parametrize(
    ("sights", "expected"),
    [
        pytest.param([(ONE, [crashed(KV)]), (ONE, [crashed(KV, times=2, seconds_ago=5)])], [False, True], id="the same cause twice"),
        pytest.param([(ONE, [DIED]), (ONE, [crashed(KV, times=2)]), (ONE, [crashed(KV, times=2)])], [False, False, False], id="two ends of one pod, but of this cause the first, however often it is looked at"),
        pytest.param([(ONE, [DIED]), (ONE, [crashed(KV, times=2)]), (ONE, [crashed(KV, times=3, seconds_ago=5)])], [False, False, True], id="until it comes again"),
        pytest.param([(ONE, [crashed(KV, times=2)])], [True], id="nothing was known: the kubelet's count is taken"),
        pytest.param([(TWO, [crashed(KV), crashed(KV)])], [True], id="on two pods at the same time"),
        pytest.param(
            [(TWO, [crashed(KV, seconds_ago=300)]), (TWO, [crashed(KV, seconds_ago=300), crashed(BAD, seconds_ago=200)]), (TWO, [crashed(KV, times=2, seconds_ago=100), crashed(BAD, seconds_ago=200)]), (TWO, [crashed(KV, times=2, seconds_ago=100), crashed(BAD, times=2, seconds_ago=50)])],
            [False, False, True, True],
            id="twice on one pod, with another pod's other cause between",
        ),
        pytest.param(
            [(ONE, [crashed(KV, times=2, seconds_ago=90)]), (again(ONE), [crashed(KV, times=2, seconds_ago=90)]), (again(ONE), [crashed(KV, times=3, seconds_ago=60)]), (again(ONE), [crashed(KV, times=3, seconds_ago=60)])],
            [True, True, True, True],
            id="a scaler changes the spec meanwhile: the count begins anew, and what is said does not come and go",
        ),
        pytest.param(
            [(ONE, [crashed(KV, times=2, seconds_ago=90)]), (ONE, []), (again(ONE), [crashed(KV, seconds_ago=5).named("next")])],
            [True, False, False],
            id="another try with another pod fails for the first time",
        ),
    ],
)  # fmt: skip
def test_what_was_seen_twice(sights: list[tuple[ServiceBuilder, list[PodBuilder]]], expected: list[bool]) -> None:
    assert stalls(*sights) == expected


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        pytest.param(service(), [], {"UpToDate": "False/WriteFailed", "Ready": "False/WriteFailed", "Available": "False/WriteFailed", "Reconciling": "True/WriteFailed"}, id="nothing runs"),
        pytest.param(service(), [ready()], {"UpToDate": "False/WriteFailed", "Ready": "False/WriteFailed", "Available": "True/Serving"}, id="what runs goes on serving"),
        pytest.param(service(), [crashed(KV)], {"UpToDate": "False/WriteFailed", "Ready": "False/KVCacheTooSmall", "EngineHealthy": "False/KVCacheTooSmall"}, id="it hides no failure"),
        pytest.param(service().replicas(0), [], {"UpToDate": "False/WriteFailed", "Ready": "False/WriteFailed", "Available": "False/ScaledToZero"}, id="nothing is wanted, and that cannot be written"),
        pytest.param(service().deleting(), [ready()], {"Ready": "False/Deleting"}, id="it goes away"),
    ],
)  # fmt: skip
def test_what_the_api_server_keeps_refusing(
    asked: ServiceBuilder, pods: list[PodBuilder], expected: dict[str, str]
) -> None:
    refused = Refusal("apply Service mistral", "403 Forbidden: exceeded quota")
    found = stated(asked, *pods, refusal=refused)

    assert {kind: found[kind] for kind in expected} == expected
    assert "Stalled" not in found
    assert found["Accepted"] == "True/Valid"
    said = conditions(observed(asked, *pods, refusal=refused))["Accepted"].message
    assert "can be carried out" in said, "whether it is says UpToDate"


def test_a_blocked_rollout_stays_stalled_whatever_write_is_refused() -> None:
    """The write is tried again by itself, and unblocks no rollout."""
    pods, overdue_too = (ready().old(), crashed(KV).placed(1860)), (deployment(service(), overdue()),)
    refused = Refusal("apply Service mistral", "403 Forbidden: exceeded quota")

    seen = observed(service(), *pods, children=overdue_too, refusal=refused)

    found = conditions(seen)
    assert (found["UpToDate"].reason, found["Stalled"].reason) == ("WriteFailed", "RolloutBlocked")
    assert found["Stalled"] == conditions(observed(service(), *pods, children=overdue_too))["Stalled"]
    assert "Reconciling" not in found


def test_a_rollout_past_its_deadline_names_the_cause() -> None:
    seen = observed(service(), ready().old(), crashed(KV).placed(1860), children=(deployment(service(), overdue()),))

    verdict = conditions(seen)["UpToDate"]
    assert verdict.reason == "RolloutBlocked"
    assert "KVCacheTooSmall" in verdict.message


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [ready()],
        [crashed(KV)],
        [crashed("x")],
        [starting()],
        [unscheduled(GPU)],
        [waiting("ErrImagePull", "x")],
        [ready().old(), starting()],
    ],
)
def test_every_trouble_ends_with_what_to_do(pods: list[PodBuilder]) -> None:
    for kind, verdict in conditions(observed(service(), *pods)).items():
        if verdict.status != "True":
            assert "; " in verdict.message, f"{kind}: {verdict.message}"


def test_reasons_of_false_conditions_are_in_the_table_or_only_say_on_its_way() -> None:
    calm = {"Starting", "NoAPIKey"}
    for pods in ([crashed(KV)], [starting()], [unscheduled(GPU)], [waiting("ErrImagePull", "x")], []):
        for verdict in conditions(observed(service(), *pods)).values():
            assert verdict.status != "False" or verdict.reason in calm | set(REASONS)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([ready().of(KEYS)], "True/APIKeyRequired", id="every pod does"),
        pytest.param([ready().old().of(service())], "False/NoAPIKey", id="the pods of the former spec go on"),
        pytest.param(
            [ready().old().of(service()), ready().of(KEYS, 1)], "False/NoAPIKey", id="one of the former spec goes on"
        ),
        pytest.param(
            [ready().old().deleting().of(service()), ready().of(KEYS, 1)],
            "True/APIKeyRequired",
            id="that one is on its way out",
        ),
        pytest.param(
            [unscheduled(GPU).old().of(service()), ready().of(KEYS, 1)],
            "True/APIKeyRequired",
            id="that one never ran",
        ),
        pytest.param([unscheduled(GPU).of(KEYS)], "True/APIKeyRequired", id="no pod runs, and those to come do"),
    ],
)
def test_a_key_guards_the_port_once_every_pod_asks_for_it(pods: list[Any], expected: str) -> None:
    assert stated(KEYS, *pods)["Secured"] == expected


def test_who_needs_no_key_yet_is_named_with_the_cause() -> None:
    open_still = ready().old().of(service())

    held = conditions(observed(KEYS, open_still, live=service()))["Secured"]
    refused = conditions(observed(KEYS.spec("engine", extraArgs=["--port=1"]), open_still, live=service()))["Secured"]
    asleep = conditions(observed(KEYS.spec("engine", extraArgs=["--port=1"]), live=service()))["Secured"]

    needless = "may use it, although the spec asks for a key; see condition"
    assert (held.status, held.message) == ("False", f"whoever reaches pod mistral-0 {needless} UpToDate")
    assert (refused.status, refused.message) == ("False", f"whoever reaches pod mistral-0 {needless} Accepted")
    assert (asleep.status, asleep.message) == (
        "False",
        f"whoever reaches pods of Deployment mistral {needless} Accepted",
    )


def test_a_key_that_the_spec_no_longer_has_guards_the_port_as_long_as_pods_ask_for_it() -> None:
    guarded = ready().old().of(KEYS)

    secured = conditions(observed(service(), guarded, live=KEYS))["Secured"]

    assert (secured.status, secured.reason) == ("True", "APIKeyRequired")
    assert "new pods will ask for none" in secured.message
    assert stated(service(), guarded, ready().of(service(), 1), live=KEYS)["Secured"] == "False/NoAPIKey"


@pytest.mark.parametrize("phase", ["", "importing", "loading", "warming", "ready", "draining"])
@pytest.mark.parametrize(
    "pod", [ready(), starting(), crashed(KV), lost()], ids=["ready", "starting", "crashed", "lost"]
)
def test_what_a_pod_says_about_itself_changes_no_condition(pod: PodBuilder, phase: str) -> None:
    """The kubelet's word counts: an operator that cannot reach a pod tells the same as one that can."""
    said = {"uid-mistral-0": EngineState(NOW, phase=phase, engine={"version": "0.32.0"})}

    assert stated(service(), pod, states=said) == stated(service(), pod)
