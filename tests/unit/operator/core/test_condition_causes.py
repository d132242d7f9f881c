"""One pod, or none that could be made, and the condition that names what is wrong."""

from datetime import timedelta

import pytest

from fairlead_operator.core import names
from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import observe
from fairlead_operator.core.refusal import Refusal
from fairlead_operator.core.scheduling import evicted
from fairlead_operator.core.seen import Observed, PodEvent
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

ENGINE_IMAGE = 'Pulling image "example.test/runtime:0.1.0"'
NO_SECRET = event(
    "FailedMount", 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found', count=6, seconds_ago=60
)
NO_MODEL = event("Failed", 'Failed to pull image "example.test/mistral:7b": not found', count=3, seconds_ago=60)
NO_SANDBOX = event("FailedCreatePodSandBox", 'no runtime for "nvidia" is configured', count=3, seconds_ago=60)
AWAY = 'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.tools.svc:443/check?timeout=10s": dial tcp 10.0.0.9:443: connect: connection refused'


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
        pytest.param("EngineHealthy", service(), crashed(exit_code=0, times=3), {}, "False/EngineDied", id="stopped again and again, though nobody asks a pod that stays"),
        pytest.param("EngineHealthy", service(), crashed(exit_code=0), _events(event("Killing", "Container engine failed liveness probe, will be restarted", seconds_ago=61)), "False/EngineStalled", id="it stopped properly, asked by the liveness probe"),
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
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", 'failed to pull example.test/mistral:7b: Head "https://example.test:40301/v2/mistral/manifests/401": dial tcp 10.0.0.1:40301: connect: connection refused'), {}, "False/HubUnreachable", id="a port and a tag are no status of HTTP"),
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", "failed to pull example.test/mistral:7b: unexpected status from HEAD request to https://example.test/v2/denied/manifests/7b: 403 Forbidden"), {}, "False/Unauthorized", id="the model's registry forbids it"),
        pytest.param("ModelAvailable", service(), waiting("ErrImagePull", "failed to pull example.test/mistral:7b: https://example.test/v2/denied/manifests/7b: not found"), {}, "False/ModelNotFound", id="a word in a name is no cause"),
        pytest.param("ModelAvailable", service(), waiting("ContainerCreating"), _events(event("Failed", 'Failed to pull image "example.test/mistral:7b": not found')), "False/ModelNotFound", id="only an event tells of the model's image"),
        pytest.param("ModelAvailable", CLAIM, unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'), {}, "False/VolumeNotFound", id="a claim that does not exist"),
        pytest.param("ModelAvailable", CLAIM, unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), {}, "False/VolumeNotFound", id="a claim that is not bound"),
        pytest.param("ModelAvailable", CLAIM, waiting("CreateContainerConfigError", 'failed to create subPath directory for volumeMount "model" of container "engine"'), {}, "False/ModelNotFound", id="a folder that the claim does not have"),
        # Scheduled
        pytest.param("Scheduled", service(), ready(), {}, "True/AllScheduled", id="it has a node"),
        pytest.param("Scheduled", service(), lost(), {}, "False/NodeLost", id="its node does not answer"),
        pytest.param("Scheduled", service(), lost().deleting(), {}, "Unknown/Scheduling", id="it is being replaced"),
        pytest.param("EngineHealthy", service(), lost(), {}, "True/NoFailure", id="a lost node is no failure of the engine"),
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
        pytest.param("Accepted", KEYS, waiting("ContainerCreating"), _events(NO_SECRET, event("Pulling", ENGINE_IMAGE, seconds_ago=50)), "True/Valid", id="the Secret came later, and now the image is pulled"),
        pytest.param("Accepted", KEYS, waiting("ContainerCreating"), _events(NO_SECRET, event("Pulling", ENGINE_IMAGE, seconds_ago=60)), "True/Valid", id="events tell seconds: nothing is pulled before all is mounted"),
        pytest.param("Accepted", KEYS, waiting("ContainerCreating"), _events(event("Pulled", ENGINE_IMAGE, seconds_ago=3000), NO_SECRET), "False/SecretNotFound", id="the Secret is gone since the container was created"),
        pytest.param("Accepted", KEYS, crashed(exit_code=137), _events(NO_SECRET, event("Started", "Container started", seconds_ago=50)), "True/Valid", id="the Secret came later, and the container was killed later still"),
        pytest.param("Accepted", KEYS, starting().ended_before(exit_code=137), _events(NO_SECRET), "True/Valid", id="the container runs, whatever was missing once"),
        pytest.param("Scheduled", service(), waiting("ContainerCreating"), _events(NO_SANDBOX), "False/PodRejected", id="a node without that runtime"),
        pytest.param("Scheduled", service(), waiting("ContainerCreating"), _events(NO_SANDBOX, event("Pulling", ENGINE_IMAGE, seconds_ago=50)), "True/AllScheduled", id="the node got that runtime"),
        pytest.param("ModelAvailable", service(), waiting("ContainerCreating"), _events(NO_MODEL, event("Pulled", 'Successfully pulled image "example.test/mistral:7b" in 40s', seconds_ago=50), event("Pulling", ENGINE_IMAGE, seconds_ago=50)), "Unknown/Loading", id="the model's image came later"),
        pytest.param("ModelAvailable", service(), waiting("ContainerCreating"), _events(NO_MODEL, event("Pulled", 'Container image "example.test/sidecar:7b" already present on machine', seconds_ago=50)), "False/ModelNotFound", id="another image came later"),
        pytest.param("EngineHealthy", service().model("oci://example.test/of-a-longer-name-than-the-engine:7b"), waiting("ErrImagePull", f"failed to {ENGINE_IMAGE}: not found"), _events(event("Failed", 'Failed to pull image "example.test/of-a-longer-name-than-the-engine:7b": not found', seconds_ago=60), event("Pulled", 'Container image "example.test/of-a-longer-name-than-the-engine:7b" already present on machine', seconds_ago=50)), "False/ImagePullFailed", id="the model's image came later, the engine's does not"),
        pytest.param("Accepted", service(), crashed(record("UnknownEngineArgument")), {}, "False/UnknownEngineArgument", id="a flag that the engine does not know"),
        # Secured
        pytest.param("Secured", KEYS, ready(), {}, "True/APIKeyRequired", id="a key"),
        pytest.param("Secured", service(), ready(), {}, "False/NoAPIKey", id="no key"),
    ],
)  # fmt: skip
def test_cause(kind: str, asked: ServiceBuilder, pod: PodBuilder, more: dict[str, object], expected: str) -> None:
    assert stated(asked, pod, **more)[kind] == expected


@pytest.mark.parametrize(
    ("refusal", "expected", "remedy"),
    [
        pytest.param("exceeded quota: gpus, requested: requests.nvidia.com/gpu=1", "QuotaExceeded", "raise the namespace's quota, or ask for less in spec.resources or spec.replicas", id="quota"),
        pytest.param("failed quota: all: must specify limits.cpu for: engine", "QuotaExceeded", "give the namespace a LimitRange with a default for it, or a quota without limits.cpu", id="a quota for what no field can say"),
        pytest.param("failed quota: all: must specify requests.ephemeral-storage for: engine", "QuotaExceeded", "raise the namespace's quota, or ask for less in spec.resources or spec.replicas", id="a quota for what a field can say"),
        pytest.param('violates PodSecurity "restricted:latest"', "PodRejected", "change what the message names, or the policy that refuses it", id="Pod Security"),
        pytest.param('pod rejected: RuntimeClass "nvidia" not found', "PodRejected", "change what the message names, or the policy that refuses it (spec.placement.runtimeClassName)", id="runtime class"),
        pytest.param("maximum memory usage per Container is 1Gi, but limit is 16Gi", "PodRejected", "change what the message names, or the policy that refuses it (spec.resources)", id="a LimitRange"),
        pytest.param("node selector conflicts with the namespace's", "PodRejected", "change what the message names, or the policy that refuses it (spec.placement)", id="somebody's policy"),
        pytest.param(AWAY, "PodRejected", "repair what serves that webhook, or have its configuration leave this namespace out; it is tried again by itself", id="a webhook that nobody serves"),
    ],
)  # fmt: skip
def test_pods_that_cannot_be_made(refusal: str, expected: str, remedy: str) -> None:
    text = f'pods "mistral-x" is forbidden: {refusal}'

    told = conditions(observed(service(), children=(deployment(service(), replica_failure(text)),)))["Scheduled"]

    assert (told.status, told.reason) == ("False", expected)
    assert told.message == f"no pod could be made: {text}; {remedy}"


@pytest.mark.parametrize(
    ("refusal", "stalls"),
    [
        pytest.param('violates PodSecurity "restricted:latest"', True, id="a policy stays as it is"),
        pytest.param(AWAY, False, id="a webhook that nobody serves is no fault of the spec"),
    ],
)
def test_pods_that_could_not_be_made_for_minutes(refusal: str, stalls: bool) -> None:  # noqa: FBT001
    live = deployment(service(), replica_failure(refusal, seconds_ago=301))

    assert ("Stalled" in stated(service(), children=(live,))) == stalls


FIVE_MINUTES = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}  # fmt: skip


@pytest.mark.parametrize(
    ("tolerations", "stays"),
    [
        pytest.param([FIVE_MINUTES], False, id="what Kubernetes adds"),
        pytest.param([], False, id="none"),
        pytest.param([{"operator": "Exists"}], True, id="whatever happens"),
        pytest.param([{"operator": "Exists", "effect": "NoExecute"}], True, id="whatever takes pods away"),
        pytest.param([{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}], True, id="by name"),
        pytest.param([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}], True, id="by name and no value"),
        pytest.param([{"key": "node.kubernetes.io/unreachable", "value": "x"}, FIVE_MINUTES], False, id="of another value"),
        pytest.param([FIVE_MINUTES, {"operator": "Exists"}], False, id="the first one counts"),
        pytest.param([{"operator": "Exists", "effect": "NoSchedule"}, FIVE_MINUTES], False, id="only for a start there"),
        pytest.param([{"key": "nvidia.com/gpu", "operator": "Exists"}, FIVE_MINUTES], False, id="another taint"),
    ],
)  # fmt: skip
def test_who_replaces_a_pod_whose_node_is_lost(tolerations: list[Manifest], stays: bool) -> None:  # noqa: FBT001
    pod = lost().of(service())
    pod["spec"]["tolerations"] = tolerations

    message = conditions(observed(service(), pod))["Scheduled"].message

    assert message.endswith("kubectl delete pod mistral-0 --force") == stays
    assert ("after five minutes Kubernetes makes another pod" in message) == (not stays)
    assert ("spec.placement.tolerations" in message) == stays


def other(name: str, reason: str, message: str = "", exit_code: int = 0) -> Manifest:
    """A container that somebody added, and that waits."""
    last = {"lastState": {"terminated": {"exitCode": exit_code, "reason": "Error"}}} if exit_code else {}
    return {
        "name": name,
        "image": "example.test/proxy:1",
        "restartCount": 9,
        "state": {"waiting": {"reason": reason, "message": message}},
        **last,
    }


LOOPS = other("proxy", "CrashLoopBackOff", "back-off 2m40s restarting failed container", 2)


@pytest.mark.parametrize(
    ("pod", "where", "containers", "message"),
    [
        pytest.param(waiting("PodInitializing"), "initContainerStatuses", [other("vault", "CrashLoopBackOff", "back-off 5m0s", 1)], "container vault of pod mistral-0, which is not the engine's, ends again and again, with exit code 1; read its log, kubectl logs mistral-0 -c vault; it is started again by itself", id="the engine waits for an init container"),
        pytest.param(starting(), "containerStatuses", [LOOPS], "container proxy of pod mistral-0, which is not the engine's, ends again and again, with exit code 2; read its log, kubectl logs mistral-0 -c proxy; it is started again by itself", id="a container beside the engine"),
        pytest.param(starting(), "containerStatuses", [other("proxy", "ErrImagePull", "proxy:1: not found")], "container proxy of pod mistral-0, which is not the engine's, cannot start: its image example.test/proxy:1 cannot be pulled; correct what the message names where that container is added", id="its image"),
        pytest.param(starting(), "containerStatuses", [other("proxy", "CreateContainerConfigError", 'configmap "mesh" not found')], "container proxy of pod mistral-0, which is not the engine's, cannot start: configmap \"mesh\" not found; correct what the message names where that container is added", id="its configuration"),
        pytest.param(starting(), "containerStatuses", [other("proxy", "ContainerCreating")], "no engine of this spec has failed", id="it is on its way"),
        pytest.param(ready(), "containerStatuses", [LOOPS], "no engine of this spec has failed", id="the pod is Ready again"),
        pytest.param(starting().deleting(), "containerStatuses", [LOOPS], "no engine of this spec has failed", id="the pod is on its way out"),
        pytest.param(crashed(KV), "containerStatuses", [LOOPS], "4096 tokens need 2 GiB, 1.5 GiB are there; set spec.engine.maxModelLen to 3072", id="the engine itself fails"),
    ],
)  # fmt: skip
def test_a_container_that_somebody_added_and_that_does_not_run(
    pod: PodBuilder, where: str, containers: list[Manifest], message: str
) -> None:
    made = pod.of(service())
    made["status"].setdefault(where, []).extend(containers)

    assert conditions(observed(service(), made))["EngineHealthy"].message == message


def test_a_container_that_somebody_added_is_no_failure_of_the_engine_however_often_it_ends() -> None:
    made = starting().placed(7200).of(service())
    made["status"]["containerStatuses"].append(LOOPS)

    at = snapshot(service(), made)
    status = build_status(at, service().outcome, observe(at, service().outcome))

    told = {condition["type"]: condition["reason"] for condition in status["conditions"]}
    assert (told["Ready"], told["EngineHealthy"], told["Scheduled"]) == ("UnknownFailure", "UnknownFailure", "AllScheduled")  # fmt: skip
    assert "Stalled" not in told
    assert "lastFailure" not in status


def test_a_node_that_cannot_set_the_pod_up_is_told_and_stalls_nothing() -> None:
    def look(sandbox: str) -> Observed:
        said = (
            f'Failed to create pod sandbox: failed to setup network for sandbox "{sandbox * 8}": no IP addresses left'
        )
        pod = waiting("ContainerCreating").placed(3600)
        return observed(service(), pod, events=(event("FailedCreatePodSandBox", said, count=50),))

    told = conditions(look("0123abcd"))

    assert told["Scheduled"].reason == "PodRejected"
    assert told["Scheduled"].message == (
        "the node cannot set up pod mistral-0: Failed to create pod sandbox: failed to setup network for sandbox: no IP addresses left; "
        "look at the node's network plugin and container runtime; it is tried again by itself"
    )
    assert "Stalled" not in told
    assert conditions(look("4567cdef")) == told, "another try is no news"


def test_an_evicted_pod_is_told_until_another_has_a_node() -> None:
    gone = starting().failed("Evicted", "The node was low on resource: memory.").named("gone")

    assert stated(service(), gone)["Scheduled"] == "False/Evicted"
    assert stated(service(), gone, ready())["Scheduled"] == "True/AllScheduled"


@pytest.mark.parametrize(
    ("asked", "seconds", "others", "expected"),
    [
        pytest.param(service(), 299, [], "False/Evicted", id="just now"),
        pytest.param(service(), 300, [], "Unknown/Scheduling", id="what has kept others away for minutes is something else"),
        pytest.param(service().replicas(2), 30, [ready().aged(31)], "False/Evicted", id="the other pod is older, and takes nobody's place"),
        pytest.param(service().replicas(2), 30, [starting().aged(30)], "Unknown/Scheduling", id="another took its place: the one more has only been asked for"),
        pytest.param(service().replicas(2), 3600, [ready()], "Unknown/Scheduling", id="an hour ago, and another took its place"),
        pytest.param(service().replicas(2), 30, [starting().aged(20).old()], "False/Evicted", id="one of an earlier spec takes nobody's place"),
    ],
)  # fmt: skip
def test_an_evicted_pod_that_was_replaced_is_not_told_again_when_there_are_to_be_more(
    asked: ServiceBuilder, seconds: int, others: list[PodBuilder], expected: str
) -> None:
    gone = starting().failed("Evicted", "The node was low on resource: memory.", seconds).named("gone")

    seen = observed(asked, gone, *others)

    told = conditions(seen)
    assert f"{told['Scheduled'].status}/{told['Scheduled'].reason}" == expected
    assert "Stalled" not in told
    tells = expected == "False/Evicted"
    assert seen.recheck_at == (NOW + timedelta(seconds=300 - seconds) if tells else None)


def test_when_a_pod_was_given_up_is_read_from_what_changed_last() -> None:
    pod = starting().failed("UnexpectedAdmissionError", "no devices", 60).of(service())

    def at(*kinds: str) -> int | None:
        said = [condition for condition in pod["status"]["conditions"] if condition["type"] in kinds]
        problem = evicted({**pod, "status": {**pod["status"], "conditions": said}})
        assert problem is not None
        return int((NOW - problem.time).total_seconds()) if problem.time else None

    assert at("PodScheduled", "DisruptionTarget") == 60
    assert at("PodScheduled", "Ready") == 60
    assert at("PodScheduled") == 1200
    assert at() is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [(ready().aged(86401), "False/Evicted"), (ready().aged(86399), "Unknown/Scheduling")],
    ids=["the other pod is older", "another was made after it"],
)
def test_a_pod_that_a_kubelet_did_not_take_in_is_told_until_another_was_made(other: PodBuilder, expected: str) -> None:
    """As after a restart of the kubelet, of a pod of yesterday: nothing says when."""
    gone = starting().failed("UnexpectedAdmissionError", "no healthy devices").aged(86400).named("gone").of(service())
    gone["status"]["conditions"] = []

    assert stated(service().replicas(2), gone, other)["Scheduled"] == expected


ENDED = {"terminated": {"exitCode": 2, "reason": "Error"}}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param({"waiting": {"reason": "CrashLoopBackOff"}}, True, id="it waits for the next start"),
        pytest.param(
            {"running": {"startedAt": rfc3339(NOW - timedelta(seconds=599))}}, True, id="it runs for a moment"
        ),
        pytest.param(ENDED, True, id="it has just ended"),
        pytest.param({"running": {"startedAt": rfc3339(NOW - timedelta(seconds=600))}}, False, id="it runs on"),
        pytest.param({"terminated": {"exitCode": 0}}, False, id="it has done its work"),
    ],
)
def test_what_ends_again_and_again_is_said_in_the_same_words_throughout(state: Manifest, *, told: bool) -> None:
    pod = starting().of(service())
    pod["status"]["initContainerStatuses"] = [{"name": "proxy", "restartCount": 2, "state": state, "lastState": ENDED}]

    found = conditions(observed(service(), pod))["EngineHealthy"]

    assert (
        "proxy of pod mistral-0, which is not the engine's, ends again and again, with exit code 2" in found.message
    ) == told


def test_two_ways_to_say_that_an_image_cannot_be_pulled_are_one() -> None:
    said = set()
    for reason, message in (("ErrImagePull", "not found"), ("ImagePullBackOff", "Back-off pulling image")):
        pod = starting().of(service())
        pod["status"]["containerStatuses"].append(other("proxy", reason, message))
        said.add(conditions(observed(service(), pod))["EngineHealthy"].message)

    assert len(said) == 1


def test_an_evicted_pod_of_an_earlier_spec_is_not_told() -> None:
    gone = starting().failed("Evicted", "The node was low on resource: memory.").named("gone").old()

    assert stated(service(), gone)["Scheduled"] == "Unknown/Scheduling"


def test_own_stopping_pods_that_hold_the_accelerators() -> None:
    assert stated(service(), unscheduled(GPU), ready().deleting())["Scheduled"] == "False/WaitingForDrain"


def test_pods_of_lower_priority_that_leave_are_waited_for() -> None:
    pod = unscheduled(GPU).of(service())
    pod["status"]["nominatedNodeName"] = "node-1"

    told = conditions(observed(service(), pod))

    assert (told["Scheduled"].status, told["Scheduled"].reason) == ("False", "WaitingForDrain")
    assert (
        told["Scheduled"].message
        == "the scheduler has chosen node node-1 for pod mistral-0 and waits until there is room, as pods of lower priority leave;"
        " wait until they are gone"
    )
    assert "Stalled" not in told


@pytest.mark.parametrize(
    ("seconds", "reason", "remedy"),
    [
        pytest.param([59], "WaitingForDrain", "wait until they have finished their requests", id="within its time"),
        pytest.param([59, 61], "WaitingForDrain", "kubectl delete pod mistral-2 --force", id="one within its time, one beyond it"),
        pytest.param([61], "InsufficientAccelerators", "kubectl delete pod mistral-1 --force", id="beyond its time: its node may be lost, and nothing comes free"),
    ],
)  # fmt: skip
def test_what_to_do_about_stopping_pods(seconds: list[int], reason: str, remedy: str) -> None:
    seen = observed(service(), unscheduled(GPU), *(ready().deleting(seconds_ago=ago) for ago in seconds))

    verdict = conditions(seen)["Scheduled"]

    assert verdict.reason == reason
    assert verdict.message.endswith(remedy)
    assert ("beyond its time" in verdict.message) == (max(seconds) > 60)


def test_the_engines_numbers_and_the_value_to_set_are_in_the_message() -> None:
    assert (
        conditions(observed(service(), crashed(KV)))["Ready"].message
        == "4096 tokens need 2 GiB, 1.5 GiB are there; set spec.engine.maxModelLen to 3072"
    )


def test_what_only_the_user_can_do_names_the_field_even_if_the_engine_did_not() -> None:
    silent = record("UnknownEngineArgument", "no such option: --shout", "", "")

    assert (
        conditions(observed(service(), crashed(silent)))["Ready"].message
        == "no such option: --shout; remove or correct the argument (spec.engine.extraArgs)"
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


GENERATED = service().spec("serving", apiKey="Generate")


@pytest.mark.parametrize(
    ("asked", "words", "kind", "reason", "remedy"),
    [
        pytest.param(
            GENERATED, 'secret "mistral-api-key-{uid}" not found', "Reconciling", "APIKeyMissing",
            "wait some seconds until the operator has made it", id="the operator's to make",
        ),
        pytest.param(
            GENERATED, "references non-existent secret key: keys", "Stalled", "SecretNotFound",
            "delete it, and the operator makes another", id="the operator's, emptied by somebody",
        ),
        pytest.param(
            KEYS, 'secret "keys" not found', "Stalled", "SecretNotFound",
            "create the Secret, or correct spec.serving.apiKeySecretRef", id="the user's own",
        ),
    ],
)  # fmt: skip
def test_whose_a_missing_secret_is_to_make(
    asked: ServiceBuilder, words: str, kind: str, reason: str, remedy: str
) -> None:
    """However often the kubelet has said so."""
    words = words.format(uid=names.digest(asked.resolved.uid))
    failed = event("FailedMount", f'MountVolume.SetUp failed for volume "api-keys" : {words}', count=9)

    told = conditions(observed(asked, waiting("ContainerCreating"), events=(failed,)))

    assert (told["Accepted"].status, told["Accepted"].reason) == ("False", reason)
    assert told["Accepted"].message.endswith(remedy)
    assert {progress for progress in ("Reconciling", "Stalled") if progress in told} == {kind}
    assert told[kind].reason == reason


def test_a_key_that_cannot_be_made_is_not_waited_for() -> None:
    secret = f"mistral-api-key-{names.digest(GENERATED.resolved.uid)}"
    failed = event("FailedMount", f'MountVolume.SetUp failed for volume "api-keys" : secret "{secret}" not found')
    refused = Refusal(f"create Secret {secret}", "403 Forbidden: exceeded quota: few")

    told = conditions(observed(GENERATED, waiting("ContainerCreating"), events=(failed,), refusal=refused))

    assert (told["Accepted"].reason, told["UpToDate"].reason) == ("APIKeyMissing", "WriteFailed")
    assert told["Ready"] == told["Accepted"]
    assert told["Accepted"].message.endswith(
        f"see condition UpToDate: until the operator can create Secret {secret} it makes none"
    )
    assert "Stalled" not in told


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(
            service().spec("placement", queueName="team-a"),
            "pod mistral-0 waits in queue team-a (kueue.x-k8s.io/admission); wait for its turn, raise the queue's quota, "
            "or see that LocalQueue team-a exists in this namespace",
            id="a queue of Kueue",
        ),
        pytest.param(
            service(),
            "pod mistral-0 is held back by kueue.x-k8s.io/admission; wait for the queue that holds the pod, or raise its quota",
            id="somebody's gate",
        ),
    ],
)
def test_who_holds_a_pod_back(asked: ServiceBuilder, message: str) -> None:
    pod = unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated").of(asked)
    pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]

    assert conditions(observed(asked, pod))["Scheduled"].message == message
