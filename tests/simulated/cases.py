"""The table of reasons: for each reason of each condition at least one way to provoke it.

A new reason needs a row, and test_reasons.py says which one lacks it. A row is a sentence, what the user then reads, and how it
comes about: a spec, a fate of the pods, objects that are there before, and what happens afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from api.cluster import Manifest
from fairlead_operator.core.conditions import AVAILABLE, READY, SECURED
from fairlead_operator.core.reasons import ACCEPTED, AUTOSCALED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE
from simulated import policies
from simulated.fates import STUCK, Fate, record
from simulated.nodes import LABEL
from simulated.scene import Scene


@dataclass(frozen=True)
class Case:
    """`field` is named in the message, or "" for none; an event tells `told`, or None if this is no news."""

    sentence: str
    condition: str
    status: str
    reason: str
    spec: Manifest = field(default_factory=dict)
    fate: Fate | None = None
    field: str = ""
    told: bool = True
    before: tuple[Manifest, ...] = ()
    after: Callable[[Scene], None] | None = None
    #: Label of a namespace of its own, see policies.py; "-" is a namespace without a policy.
    apart: str = ""
    #: It is told only when it has lasted.
    lasts: bool = False


def _false(sentence: str, reason: str, **more: Any) -> Case:
    """A reason of core/reasons.py: its condition is False, its field is named, an event tells it."""
    row = REASONS[reason]
    return Case(sentence, row.condition, "False", reason, **{"field": row.field, **more})


def _recorded(reason: str) -> Case:
    """The engine failed, and the runtime left a record with this code."""
    row = REASONS[reason]
    return _false(f"a record with {reason}", reason, fate=record(reason, "it failed", row.field))


def _state(sentence: str, condition: str, status: str, reason: str, **more: Any) -> Case:
    """A state that is no failure: nothing to change, and no event."""
    return Case(sentence, condition, status, reason, **{"told": False, **more})


def _on(pool: str, **spec: Any) -> Manifest:
    return {"placement": {"nodeSelector": {LABEL: pool}}, **spec}


def _waiting(reason: str, message: str) -> Fate:
    return Fate(waiting={"reason": reason, "message": message})


def _killed(**ends: Any) -> Fate:
    return Fate(ends={"exitCode": 137, "reason": "Error", **ends})


def _unattended(scene: Scene) -> None:
    """Its pod is evicted while nobody gives the next one a node."""
    scene.ready()
    scene.kubectl("label", "namespace", scene.kubectl.namespace, f"{policies.LABEL}={policies.UNATTENDED}")
    scene.decide(Fate(gives_up={"reason": "Evicted", "message": "The node was low on resource: memory."}))


def _lost(scene: Scene) -> None:
    """The node of its pod falls silent after it served."""
    scene.ready()
    scene.lose_node()


def _drained(scene: Scene) -> None:
    """Its only pod is deleted, and takes its time while the next one waits for the accelerator."""
    scene.ready()
    scene.lose_pod()


def _deleted(scene: Scene) -> None:
    """It stays until its pods are gone."""
    scene.ready()
    scene.kubectl("delete", "infs", scene.name, "--cascade=foreground", "--wait=false")


def _changed(fate: Fate) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        scene.ready()
        scene.change(engine={"env": [fate.variable()]})

    return change


def _mount(message: str) -> Callable[[Scene], None]:
    return lambda scene: scene.kubelet_says("FailedMount", message)


def _key_missed(scene: Scene) -> None:
    """The kubelet looked for the generated key before it was made."""
    (secret,) = [
        volume["secret"]["secretName"] for volume in scene.pod()["spec"]["volumes"] if volume["name"] == "api-keys"
    ]
    scene.kubelet_says("FailedMount", f'MountVolume.SetUp failed for volume "api-keys" : secret "{secret}" not found')


def _loaded(scene: Scene, **load: int) -> None:
    scene.ready()
    scene.engine_says(**load)


def _moved(scene: Scene) -> None:
    """The branch moved while its pods started."""
    scene.ready()
    scene.engines_serve("1" * 40, "2" * 40)


def _busy(scene: Scene) -> None:
    """More wait than may."""
    _loaded(scene, running=4, waiting=50)


def _occupied(scene: Scene) -> None:
    """Some are computed, none waits."""
    _loaded(scene, running=2)


def _idle(scene: Scene) -> None:
    """Nothing is asked."""
    _loaded(scene)


_ONE: Final = {"maxReplicas": 1}
_LIKES: Final = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Likes"}]}]}}}  # fmt: skip
_TAKEN: Final = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "taken"}, "spec": {"ports": [{"port": 1}]}}
_NO_GPUS: Final = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "0"}}}  # fmt: skip
_NO_SERVICES: Final = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-services"}, "spec": {"hard": {"count/services": "0"}}}  # fmt: skip
_HUB_TOKEN: Final = {"uri": "hf://org/model", "tokenSecretRef": {"name": "hf", "key": "token"}}
_KEYS: Final = {"apiKeySecretRef": {"name": "keys", "key": "keys"}}
_OCI: Final = {"uri": "oci://example.com/models/tiny:1"}
_NO_IMAGE: Final = 'Failed to pull image "example.com/models/tiny:1": failed to resolve reference'

FAILURES: Final = (
    # Accepted
    _false("an affinity that only the API server can judge", "InvalidSpec", spec={"placement": {"affinity": _LIKES}}, field="spec.placement.affinity"),
    _false("an argument that a field sets", "DeniedArgument", spec={"engine": {"extraArgs": ["--api-key=x"]}}, field="spec.serving.apiKeySecretRef"),
    _false("a variable that loads code", "DeniedArgument", spec={"engine": {"env": [{"name": "LD_PRELOAD", "value": "x"}]}}, field="spec.engine.env"),
    _recorded("UnknownEngineArgument"),
    _false("an argument that the image's vLLM does not have", "UnknownEngineArgument", spec={"engine": {"extraArgs": ["--enforce-eagerly"]}}),
    _false("a value that the image's vLLM does not have", "UnsupportedByEngine", spec={"engine": {"kvCacheDtype": "fp3"}, "resources": {"device": "CPU"}}, field="spec.engine.kvCacheDtype"),
    _false("a model that the least accelerator cannot hold", "DoesNotFit", spec={"model": {"uri": "hf://org/model"}, "placement": {"minAcceleratorMemory": "16Gi"}}, field="spec.parallelism.tensor"),
    _recorded("InvalidConfig"),
    _false("a cluster without image volumes", "MissingAPI", spec={"model": _OCI}, apart=policies.WITHOUT_IMAGE_VOLUMES),
    _false("somebody's Service has the name", "NameTaken", before=(_TAKEN,), apart="-", field=""),
    _false("a hub token's Secret does not exist", "SecretNotFound", spec={"model": _HUB_TOKEN}, fate=_waiting("ContainerCreating", ""),
           after=_mount('MountVolume.SetUp failed for volume "hub-token" : secret "hf" not found'), field="spec.model.tokenSecretRef"),
    _false("a variable's Secret does not exist", "SecretNotFound", fate=_waiting("CreateContainerConfigError", 'secret "env" not found'), field="spec.engine.env"),
    _false("a pod is there before its generated key", "APIKeyMissing", spec={"serving": {"apiKey": "Generate"}}, fate=_waiting("ContainerCreating", ""), after=_key_missed),
    # Scheduled
    _false("more accelerators than a node has", "InsufficientAccelerators", spec=_on("reasons-one", parallelism={"tensor": 2})),
    _false("a queue holds the pod", "Queued", spec={"placement": {"queueName": "gpus"}}),
    _false("the namespace may have no accelerators", "QuotaExceeded", before=(_NO_GPUS,), apart="-"),
    _false("a runtime class that does not exist", "PodRejected", spec={"placement": {"runtimeClassName": "none"}}, field="spec.placement.runtimeClassName"),
    _false("the kubelet gave the pod up", "Evicted", after=_unattended, apart="-"),
    _false("its node fell silent", "NodeLost", after=_lost),
    _false("the own pod that stops still has the accelerator", "WaitingForDrain", spec=_on("reasons-two"), fate=Fate(drains="60s"), after=_drained, field=""),
    _false("a label that no node has", "Unschedulable", spec=_on("reasons-none")),
    # ModelAvailable
    _false("a hub that does not answer", "HubUnreachable", fate=record("HubUnreachable", "it failed", "spec.model.uri"), field="spec.engine.env"),
    *map(_recorded, ("ModelNotFound", "Unauthorized", "RevisionNotFound", "WeightsCorrupt", "DiskFull", "PermissionDenied")),
    _false("a model image that does not exist", "ModelNotFound", spec={"model": _OCI}, fate=_waiting("ErrImagePull", f"{_NO_IMAGE}: not found")),
    _false("a model image that asks for credentials", "Unauthorized", spec={"model": _OCI}, fate=_waiting("ErrImagePull", f"{_NO_IMAGE}: 401 unauthorized"), field="spec.imagePullSecrets"),
    _false("a claim that does not exist", "VolumeNotFound", spec={"model": {"uri": "pvc://nowhere/model"}}),
    # EngineHealthy
    *map(_recorded, (
        "OutOfGPUMemory", "KVCacheTooSmall", "ContextTooLong", "UnsupportedArchitecture", "UnsupportedQuantization", "TensorParallelMismatch",
        "NotEnoughGPUs", "DriverTooOld", "RemoteCodeRequired", "BadArgument", "UnsupportedSetting", "SettingIgnored", "EngineStalled",
        "StartTimeout", "PortInUse", "BadChatTemplate",
    )),
    _false("the kernel killed it for its memory", "HostOutOfMemory", fate=_killed(reason="OOMKilled")),
    _false("it was killed and left no record", "EngineDied", fate=_killed()),
    _false("it ended without a record", "UnknownFailure", fate=Fate(ends={"exitCode": 1, "reason": "Error", "message": "Segmentation fault"})),
    _false("the engine's image does not exist", "ImagePullFailed", spec={"image": "example.com/none:1"}, fate=_waiting("ErrImagePull", 'Failed to pull image "example.com/none:1": not found')),
    # UpToDate
    _false("another template while the old pods serve", "RollingOut", after=_changed(Fate())),
    _false("a new template whose engine fails", "RolloutBlocked", after=_changed(record("KVCacheTooSmall")), field=""),
    _false("two pods found different commits of a branch", "MixedRevisions", spec={"replicas": 2}, after=_moved),
    _false("the namespace may have no Services", "WriteFailed", before=(_NO_SERVICES,), apart="-", lasts=True),
    # Autoscaled
    _false("an engine with a queue, at the most replicas", "AtMaximum", spec={"autoscaling": _ONE}, after=_busy),
    _false("no engine answers the operator", "MetricsUnavailable", spec={"autoscaling": _ONE}),
)  # fmt: skip

STATES: Final = (
    _state("a spec that is carried out", ACCEPTED, "True", "Valid"),
    _state("pods are on their way to a node", SCHEDULED, "Unknown", "Scheduling", apart=policies.UNATTENDED),
    _state("pods have a node", SCHEDULED, "True", "AllScheduled"),
    _state("weights are loaded", MODEL, "Unknown", "Loading", fate=STUCK),
    _state("weights were read", MODEL, "True", "Loaded"),
    _state("no engine failed", ENGINE, "True", "NoFailure"),
    _state("every pod runs the spec", UP_TO_DATE, "True", "AllPodsCurrent"),
    _state("nothing runs before the spec is accepted", SCHEDULED, "Unknown", "NotAccepted", spec={"engine": {"extraArgs": ["--api-key=x"]}}),
    _state("no key is asked for", SECURED, "False", "NoAPIKey", field="spec.serving.apiKeySecretRef"),
    _state("a key is asked for", SECURED, "True", "APIKeyRequired", spec={"serving": _KEYS}),
    _state("it serves", AVAILABLE, "True", "Serving"),
    _state("it has not started yet", READY, "False", "Starting", fate=STUCK, told=True),
    _state("every replica has answered", READY, "True", "AllReplicasReady", told=True),
    _state("no replica is wanted, and nothing serves", AVAILABLE, "False", "ScaledToZero", spec={"replicas": 0}, field="spec.replicas", told=True),
    _state("no replica is wanted, and none is missing", READY, "True", "ScaledToZero", spec={"replicas": 0}),
    _state("no replica is wanted, and none has read the weights", MODEL, "Unknown", "ScaledToZero", spec={"replicas": 0}),
    _state("suspended", AVAILABLE, "False", "Suspended", spec={"suspend": True}, field="spec.suspend", told=True),
    _state("suspended, as asked for", READY, "True", "Suspended", spec={"suspend": True}),
    _state("it waits for its pods to finish their requests", READY, "False", "Deleting", fate=Fate(drains="60s"), after=_deleted, told=True),
    _state("five failures that only the user can end", SCHEDULED, "Unknown", "GivenUp", fate=record("KVCacheTooSmall"), told=True),
    _state("no engine to ask", AUTOSCALED, "Unknown", "NoReplicaReady", spec={"autoscaling": _ONE}, fate=STUCK),
    _state("load between the bounds", AUTOSCALED, "True", "ScalingActive", spec={"autoscaling": {"minReplicas": 0, "maxReplicas": 2}}, after=_occupied),
    _state("the least replicas", AUTOSCALED, "True", "AtMinimum", spec={"autoscaling": _ONE}, after=_idle),
    _state("asleep until it is scaled", AUTOSCALED, "True", "Asleep", spec={"autoscaling": {"minReplicas": 0, "maxReplicas": 1}, "replicas": 0}, field="spec.replicas"),
    _state("suspended, whatever the load", AUTOSCALED, "Unknown", "Suspended", spec={"autoscaling": _ONE, "suspend": True}, field="spec.suspend"),
)  # fmt: skip

CASES: Final = (*FAILURES, *STATES)
