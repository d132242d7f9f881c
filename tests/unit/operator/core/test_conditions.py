"""Conditions: what is seen, in a sentence, and what is said about it."""

import pytest

from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.observe import observe
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.rejection import name_taken
from fairlead_operator.core.seen import Accelerators, PodEvent
from unit.operator.builders import (
    PodBuilder,
    ServiceBuilder,
    crashed,
    deployment,
    event,
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

KV = record("KVCacheTooSmall", "4096 tokens need 2 GiB, 1.5 GiB are there", "spec.engine.maxModelLen", "3072")
GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: 3 No preemption victims found."
KEYS = service().spec("serving", apiKeySecretRef={"name": "keys", "key": "all"})
CLAIM = service().model("pvc://models/a")


def _all(asked: ServiceBuilder, *pods: PodBuilder, **more: object) -> dict[str, str]:
    seen = observed(asked, *pods, **more)
    return {kind: f"{verdict.status}/{verdict.reason}" for kind, verdict in conditions(seen).items()}


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
    assert _all(asked, *pods)["Ready"] == expected


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
    assert _all(asked, *pods)["Available"] == expected


def _events(*each: PodEvent) -> dict[str, object]:
    return {"events": each}


@pytest.mark.parametrize(
    ("kind", "asked", "pod", "more", "expected"),
    [
        # EngineHealthy
        pytest.param("EngineHealthy", service(), crashed(KV), {}, "False/KVCacheTooSmall", id="a record"),
        pytest.param("EngineHealthy", service(), crashed("Traceback\nboom"), {}, "False/UnknownFailure", id="a record that cannot be read"),
        pytest.param("EngineHealthy", service(), crashed(record("FromTheFuture")), {}, "False/UnknownFailure", id="a code of a newer runtime"),
        pytest.param("EngineHealthy", service(), crashed(KV, reason="OOMKilled", exit_code=137), {}, "False/HostOutOfMemory", id="killed for memory, whatever the record says"),
        pytest.param("EngineHealthy", service(), crashed(exit_code=137), {}, "False/EngineDied", id="137 and nothing else"),
        pytest.param("EngineHealthy", service(), crashed(exit_code=137), _events(event("Killing", "Container engine failed startup probe, will be restarted", seconds_ago=61)), "False/StartTimeout", id="killed by the startup probe"),
        pytest.param("EngineHealthy", service(), crashed(exit_code=137), _events(event("Killing", "Container engine failed liveness probe, will be restarted", seconds_ago=61)), "False/EngineStalled", id="killed by the liveness probe"),
        pytest.param("EngineHealthy", service(), crashed(exit_code=0), {}, "True/NoFailure", id="it stopped when asked to"),
        pytest.param("EngineHealthy", service(), crashed(KV).deleting(), {}, "True/NoFailure", id="a pod on its way out is no failure"),
        pytest.param("EngineHealthy", service(), crashed(KV).old(), {}, "True/NoFailure", id="an old revision's failure is not told"),
        pytest.param("EngineHealthy", service(), starting().ended_before(message=KV), {}, "False/KVCacheTooSmall", id="it runs again but is not ready"),
        pytest.param("EngineHealthy", service(), ready().ended_before(message=KV), {}, "True/NoFailure", id="it is ready again"),
        pytest.param("EngineHealthy", service(), ready(300).ended_before(exit_code=137).restarts(3), {}, "False/EngineDied", id="three restarts, ready for five minutes"),
        pytest.param("EngineHealthy", service(), ready(601).ended_before(exit_code=137).restarts(3), {}, "True/NoFailure", id="three restarts, ready for ten minutes"),
        pytest.param("EngineHealthy", service(), ready(300).ended_before(exit_code=137).restarts(2), {}, "True/NoFailure", id="two restarts"),
        pytest.param("EngineHealthy", service(), waiting("ImagePullBackOff", 'Back-off pulling image "example.test/runtime:0.1.0"'), {}, "False/ImagePullFailed", id="the engine's image"),
        pytest.param("EngineHealthy", service(), waiting("InvalidImageName"), {}, "False/ImagePullFailed", id="an image name that is none"),
        pytest.param("EngineHealthy", service(), waiting("RunContainerError", "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0"), {}, "False/DriverTooOld", id="a driver too old"),
        pytest.param("EngineHealthy", service(), waiting("ContainerCreating"), {}, "True/NoFailure", id="on its way"),
        # ModelAvailable
        pytest.param("ModelAvailable", service(), ready(), {}, "True/Loaded", id="ready"),
        pytest.param("ModelAvailable", service(), starting(), {}, "Unknown/Loading", id="loading"),
        pytest.param("ModelAvailable", service(), crashed(record("ModelNotFound", field="spec.model.uri")), {}, "False/ModelNotFound", id="a record about the model"),
        pytest.param("ModelAvailable", service(), crashed(record("PermissionDenied")), {}, "False/PermissionDenied", id="files it may not read"),
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", "example.test/mistral:7b: not found"), {}, "False/ModelNotFound", id="the model's image does not exist"),
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", "failed to pull example.test/mistral:7b: 401 Unauthorized"), {}, "False/Unauthorized", id="the model's image needs credentials"),
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", "failed to pull example.test/mistral:7b: dial tcp: connection refused"), {}, "False/HubUnreachable", id="the model's registry does not answer"),
        pytest.param("ModelAvailable", service(), waiting("ContainerCreating"), _events(event("Failed", 'Failed to pull image "example.test/mistral:7b": not found')), "False/ModelNotFound", id="only an event tells of the model's image"),
        pytest.param("ModelAvailable", CLAIM, unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'), {}, "False/VolumeNotFound", id="a claim that does not exist"),
        pytest.param("ModelAvailable", CLAIM, unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), {}, "False/VolumeNotFound", id="a claim that is not bound"),
        pytest.param("ModelAvailable", CLAIM, waiting("CreateContainerConfigError", 'failed to create subPath directory for volumeMount "model" of container "engine"'), {}, "False/ModelNotFound", id="a folder that the claim does not have"),
        # Scheduled
        pytest.param("Scheduled", service(), ready(), {}, "True/AllScheduled", id="it has a node"),
        pytest.param("Scheduled", service(), unscheduled(GPU), {}, "False/InsufficientAccelerators", id="no accelerator is free"),
        pytest.param("Scheduled", service(), unscheduled("0/3 nodes are available: 3 Insufficient cpu."), {}, "False/Unschedulable", id="no CPU is free"),
        pytest.param("Scheduled", service(), unscheduled("gated", "SchedulingGated"), {}, "False/Queued", id="a queue holds it"),
        pytest.param("Scheduled", service(), unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'), {}, "Unknown/Scheduling", id="a missing claim is the model's trouble"),
        # Accepted
        pytest.param("Accepted", KEYS, waiting("ContainerCreating"), _events(event("FailedMount", 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found')), "False/SecretNotFound", id="a Secret that does not exist"),
        pytest.param("Accepted", KEYS, waiting("ContainerCreating"), _events(event("FailedMount", 'MountVolume.SetUp failed for volume "api-keys" : references non-existent secret key: all')), "False/SecretNotFound", id="a key that the Secret does not have"),
        pytest.param("Accepted", service(), waiting("CreateContainerConfigError", 'secret "proxy" not found'), {}, "False/SecretNotFound", id="a variable's Secret"),
        pytest.param("Accepted", service(), waiting("CreateContainerConfigError", "couldn't find key url in Secret models/proxy"), {}, "False/SecretNotFound", id="a variable's key"),
        pytest.param("Accepted", KEYS, ready(), _events(event("FailedMount", 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found')), "True/Valid", id="an old event of a pod that runs"),
        pytest.param("Accepted", service(), waiting("ContainerCreating"), _events(event("FailedMount", 'MountVolume.SetUp failed for volume "config" : configmap "mistral-x" not found')), "True/Valid", id="our own ConfigMap is on its way"),
        pytest.param("Accepted", service(), crashed(record("UnknownEngineArgument")), {}, "False/UnknownEngineArgument", id="a flag that the engine does not know"),
        # Secured
        pytest.param("Secured", KEYS, ready(), {}, "True/APIKeyRequired", id="a key"),
        pytest.param("Secured", service(), ready(), {}, "False/NoAPIKey", id="no key"),
    ],
)  # fmt: skip
def test_cause(kind: str, asked: ServiceBuilder, pod: PodBuilder, more: dict[str, object], expected: str) -> None:
    assert _all(asked, pod, **more)[kind] == expected


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        pytest.param(
            'pods "mistral-x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1',
            "False/QuotaExceeded",
            id="quota",
        ),
        pytest.param(
            'pods "mistral-x" is forbidden: violates PodSecurity "restricted:latest"',
            "False/PodRejected",
            id="Pod Security",
        ),
        pytest.param(
            'pods "mistral-x" is forbidden: pod rejected: RuntimeClass "nvidia" not found',
            "False/PodRejected",
            id="runtime class",
        ),
    ],
)
def test_pods_that_cannot_be_made(refusal: str, expected: str) -> None:
    live = deployment(service(), replica_failure(refusal))

    assert _all(service(), children=(live,))["Scheduled"] == expected


def test_an_evicted_pod_is_told_until_another_has_a_node() -> None:
    gone = starting().failed("Evicted", "The node was low on resource: memory.").named("gone")

    assert _all(service(), gone)["Scheduled"] == "False/Evicted"
    assert _all(service(), gone, ready())["Scheduled"] == "True/AllScheduled"


def test_own_stopping_pods_that_hold_the_accelerators() -> None:
    assert _all(service(), unscheduled(GPU), ready().deleting())["Scheduled"] == "False/WaitingForDrain"


def test_accelerators_are_counted() -> None:
    seen = observed(service(), unscheduled(GPU), accelerators=Accelerators(total=8, free=1, largest_free=1))

    assert conditions(seen)["Scheduled"].message == (
        "pod mistral-0 needs 1 nvidia.com/gpu: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu; "
        "1 of 8 are free, at most 1 on one node; add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism"
    )


def test_the_engines_numbers_and_the_value_to_set_are_in_the_message() -> None:
    assert (
        conditions(observed(service(), crashed(KV)))["Ready"].message
        == "4096 tokens need 2 GiB, 1.5 GiB are there; set spec.engine.maxModelLen to 3072"
    )


@pytest.mark.parametrize(
    ("asked", "pod", "field"),
    [
        pytest.param(
            CLAIM, unscheduled('persistentvolumeclaim "models" not found'), "spec.model.uri", id="the model's claim"
        ),
        pytest.param(
            service().model("hf://a/b", cache={"claimName": "c"}),
            unscheduled('persistentvolumeclaim "c" not found'),
            "spec.model.cache.claimName",
            id="the cache's claim",
        ),
    ],
)
def test_the_field_of_a_missing_claim_is_named(asked: ServiceBuilder, pod: PodBuilder, field: str) -> None:
    assert field in conditions(observed(asked, pod))["ModelAvailable"].message


@pytest.mark.parametrize(
    ("volume", "field"), [("api-keys", "spec.serving.apiKeySecretRef"), ("hub-token", "spec.model.tokenSecretRef")]
)
def test_the_field_of_a_missing_secret_is_named(volume: str, field: str) -> None:
    asked = (
        service()
        .model("hf://a/b", tokenSecretRef={"name": "s", "key": "k"})
        .spec("serving", apiKeySecretRef={"name": "s", "key": "k"})
    )
    failed = event("FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : secret "s" not found')

    assert field in conditions(observed(asked, waiting("ContainerCreating"), events=(failed,)))["Accepted"].message


def test_image_volumes_that_the_api_server_dropped() -> None:
    live = deployment(service())
    volumes = live["spec"]["template"]["spec"]["volumes"]
    live["spec"]["template"]["spec"]["volumes"] = [
        {"name": "model"} if volume["name"] == "model" else volume for volume in volumes
    ]
    found = _all(service(), starting(), children=(live,))

    assert (found["Accepted"], found["Ready"], found["Stalled"]) == (
        "False/MissingAPI",
        "False/MissingAPI",
        "True/MissingAPI",
    )
    assert _all(service(), starting())["Accepted"] == "True/Valid"


def test_a_rejected_spec_says_so_while_the_former_pods_serve() -> None:
    wrong = service().spec("engine", extraArgs=["--port=1"])
    found = _all(wrong, ready(), live=service())

    assert (found["Accepted"], found["Ready"], found["Available"]) == (
        "False/DeniedArgument",
        "False/DeniedArgument",
        "True/Serving",
    )
    assert found["UpToDate"] == "Unknown/NotAccepted"
    assert found["Stalled"] == "True/DeniedArgument"


def test_a_rejected_spec_that_never_ran() -> None:
    found = _all(service().spec("engine", extraArgs=["--port=1"]), children=(), live=service())

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
        pytest.param(service(), [waiting("ImagePullBackOff", "x")], "Stalled", id="an image that was asked for twice"),
        pytest.param(service().deleting(), [crashed(KV, times=9)], "Reconciling", id="it goes away"),
    ],
)
def test_reconciling_and_stalled_exclude_each_other(
    asked: ServiceBuilder, pods: list[PodBuilder], expected: str | None
) -> None:
    found = _all(asked, *pods)

    assert [kind for kind in ("Reconciling", "Stalled") if kind in found] == ([expected] if expected else [])


def test_a_failure_that_another_pod_of_this_template_had_before_stalls() -> None:
    template = observed(service()).template
    before = {"lastFailure": {"code": "KVCacheTooSmall", "template": template, "count": 2}}

    assert "Stalled" in _all(service().with_status(before), crashed(KV))


def test_a_rollout_past_its_deadline_names_the_cause() -> None:
    seen = observed(service(), ready().old(), crashed(KV), children=(deployment(service(), overdue()),))

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
