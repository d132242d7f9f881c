"""Every reason there is: which condition it belongs to, where it is seen, which field changes it, and what happens next.

The order within a condition has no meaning; core/conditions.py has the checks. Reasons of a True condition, and the ones that only
say "on its way", are in conditions.py beside the checks that give them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Retry(StrEnum):
    """What happens next."""

    #: Nothing moves until the user changes something: seen twice, the service is Stalled.
    USER = "user must act"
    #: Something else is on its way: capacity, a network, a drain.
    WAIT = "wait"
    #: The kubelet starts the engine again; that often helps.
    RESTART = "restart"


@dataclass(frozen=True)
class Reason:
    """One row. `source` says in which object, and where in it, the reason is seen."""

    condition: str
    source: str
    field: str
    retry: Retry
    remedy: str


ACCEPTED: Final = "Accepted"
SCHEDULED: Final = "Scheduled"
MODEL: Final = "ModelAvailable"
ENGINE: Final = "EngineHealthy"
UP_TO_DATE: Final = "UpToDate"
AUTOSCALED: Final = "Autoscaled"

_SPEC = "InferenceService: spec"
_RECORD = "Pod: status.containerStatuses[engine].(state|lastState).terminated.message"
_WAITING = "Pod: status.containerStatuses[engine].state.waiting"
_EVENT = "Event of the Pod"
_SCHEDULER = "Pod: status.conditions[PodScheduled].message"
_LOAD = "Pods: GET /state on the management port"
_DEPLOYMENT = "Deployment: status.conditions[ReplicaFailure].message"

REASONS: Final[dict[str, Reason]] = {
    # Accepted
    "InvalidSpec": Reason(ACCEPTED, f"{_SPEC}; the API server's answer to an apply", "", Retry.USER, "correct the field named"),
    "DeniedArgument": Reason(ACCEPTED, f"{_SPEC}.engine.extraArgs, {_SPEC}.engine.env, {_SPEC}.image, {_SPEC}.model.uri", "spec.engine.extraArgs", Retry.USER, "remove it"),
    "UnknownEngineArgument": Reason(ACCEPTED, f"{_SPEC}.engine.extraArgs, by the image's own parser; {_RECORD}", "spec.engine.extraArgs", Retry.USER, "remove or correct the argument"),
    "UnsupportedByEngine": Reason(ACCEPTED, f"{_SPEC}.engine, by the image's own parser", "spec.engine", Retry.USER, "leave out the field that is named, or set spec.image to another version"),
    "DoesNotFit": Reason(ACCEPTED, "the model's config.json and headers; Node: metadata.labels[nvidia.com/gpu.memory]; spec.placement.minAcceleratorMemory", "spec.engine.maxModelLen", Retry.USER, "change the field that is named, or annotate the service with fairlead.dev/skip-plan=true"),
    "InvalidConfig": Reason(ACCEPTED, _RECORD, "spec.image", Retry.USER, "bring spec.image and the operator to the same release"),
    "MissingAPI": Reason(ACCEPTED, "Deployment: spec.template.spec.volumes[model].image", "spec.model.uri", Retry.USER, "use a cluster with image volumes (Kubernetes 1.35, or the ImageVolume feature), or a pvc:// or hf:// model"),
    "NameTaken": Reason(ACCEPTED, "metadata.ownerReferences of the object with the child's name", "metadata.name", Retry.USER, "delete or rename that object, or rename this one"),
    "SecretNotFound": Reason(ACCEPTED, f"{_EVENT}: FailedMount; {_WAITING}: CreateContainerConfigError", "", Retry.USER, "create the Secret with that key, or correct the field"),
    "APIKeyMissing": Reason(ACCEPTED, f"{_EVENT}: FailedMount of the Secret that the operator makes", "spec.serving.apiKey", Retry.WAIT, "wait some seconds until the operator has made it"),
    # Scheduled
    "InsufficientAccelerators": Reason(SCHEDULED, f"{_SCHEDULER}; Nodes: status.allocatable, less what Pods on them request", "spec.parallelism", Retry.WAIT, "add or free accelerators, or ask for fewer by spec.replicas or spec.parallelism"),
    "Queued": Reason(SCHEDULED, "Pod: status.conditions[PodScheduled].reason=SchedulingGated", "", Retry.WAIT, "wait for the queue that holds the pod, or raise its quota"),
    "QuotaExceeded": Reason(SCHEDULED, _DEPLOYMENT, "spec.resources", Retry.WAIT, "raise the namespace's quota, or ask for less in spec.resources or spec.replicas"),
    "PodRejected": Reason(SCHEDULED, f"{_DEPLOYMENT}; {_EVENT}: FailedCreatePodSandBox", "", Retry.USER, "change what the message names, or the policy that refuses it"),
    "Evicted": Reason(SCHEDULED, "Pod: status.reason", "spec.resources", Retry.WAIT, "raise spec.resources if the node ran out of something; a new pod is on its way"),
    "NodeLost": Reason(SCHEDULED, "Pod: status.conditions[Ready]=False while status.conditions[ContainersReady]=True", "", Retry.WAIT, "repair the node, or wait: after five minutes Kubernetes makes another pod"),
    "WaitingForDrain": Reason(SCHEDULED, f"{_SCHEDULER}; own Pods with metadata.deletionTimestamp; Pod: status.nominatedNodeName", "spec.serving.drainSeconds", Retry.WAIT, "wait until they have finished their requests"),
    "Unschedulable": Reason(SCHEDULED, _SCHEDULER, "spec.placement", Retry.WAIT, "change spec.placement or spec.resources, or add a node that fits"),
    # ModelAvailable
    "ModelNotFound": Reason(MODEL, f"{_RECORD}; {_WAITING}: ErrImagePull of the model", "spec.model.uri", Retry.USER, "correct spec.model.uri"),
    "Unauthorized": Reason(MODEL, f"{_RECORD}; {_WAITING}: ErrImagePull of the model", "spec.model.tokenSecretRef", Retry.USER, "set a token with access in spec.model.tokenSecretRef, or credentials in spec.imagePullSecrets for oci://"),
    "RevisionNotFound": Reason(MODEL, _RECORD, "spec.model.revision", Retry.USER, "correct spec.model.revision"),
    "HubUnreachable": Reason(MODEL, f"{_RECORD}; {_WAITING}: ErrImagePull of the model", "spec.model.uri", Retry.WAIT, "let the pods reach it (proxy, network policy, HF_ENDPOINT in spec.engine.env), or use a pvc:// or oci:// model"),
    "WeightsCorrupt": Reason(MODEL, _RECORD, "spec.model.uri", Retry.USER, "put complete weights where spec.model.uri points"),
    "DiskFull": Reason(MODEL, f"{_RECORD}; {_WAITING}: ErrImagePull of the model", "spec.resources.ephemeralStorage", Retry.USER, "raise spec.resources.ephemeralStorage, or set spec.model.cache to a claim that is large enough"),
    "PermissionDenied": Reason(MODEL, _RECORD, "spec.placement.supplementalGroups", Retry.USER, "make the files readable for uid 10001, or set a group that may read them in spec.placement.supplementalGroups"),
    "VolumeNotFound": Reason(MODEL, f"{_SCHEDULER}; {_EVENT}: FailedMount", "spec.model.uri", Retry.USER, "create the PersistentVolumeClaim and have it bound, or correct the field"),
    # EngineHealthy
    "OutOfGPUMemory": Reason(ENGINE, _RECORD, "spec.engine.gpuMemoryUtilizationPercent", Retry.USER, "lower spec.engine.maxModelLen or spec.engine.maxNumSeqs, use a quantized model, or more accelerators"),
    "KVCacheTooSmall": Reason(ENGINE, _RECORD, "spec.engine.maxModelLen", Retry.USER, "lower spec.engine.maxModelLen, set it to Auto, or give the KV cache more memory"),
    "ContextTooLong": Reason(ENGINE, _RECORD, "spec.engine.maxModelLen", Retry.USER, "lower spec.engine.maxModelLen to what the model supports"),
    "UnsupportedArchitecture": Reason(ENGINE, _RECORD, "spec.model.uri", Retry.USER, "use a model that this engine version knows, or a newer spec.image"),
    "UnsupportedQuantization": Reason(ENGINE, _RECORD, "spec.engine.quantization", Retry.USER, "choose a method that engine, model and accelerator support"),
    "TensorParallelMismatch": Reason(ENGINE, _RECORD, "spec.parallelism.tensor", Retry.USER, "choose a spec.parallelism.tensor that divides the model's attention heads"),
    "NotEnoughGPUs": Reason(ENGINE, _RECORD, "spec.parallelism", Retry.USER, "lower spec.parallelism to what the pod sees"),
    "DriverTooOld": Reason(ENGINE, f"{_RECORD}; {_WAITING}: RunContainerError", "spec.placement.nodeSelector", Retry.USER, "update the driver of the node, or choose another node in spec.placement"),
    "RemoteCodeRequired": Reason(ENGINE, _RECORD, "spec.model.trustRemoteCode", Retry.USER, "read the model's code, then set spec.model.trustRemoteCode to true"),
    "BadArgument": Reason(ENGINE, _RECORD, "spec.engine", Retry.USER, "correct the argument that the engine names"),
    "UnsupportedSetting": Reason(ENGINE, _RECORD, "spec.engine", Retry.USER, "leave out the setting that is named, or choose an engine or accelerator that has it"),
    "SettingIgnored": Reason(ENGINE, _RECORD, "spec.engine", Retry.USER, "set the field to what the engine can do, or leave it out"),
    "HostOutOfMemory": Reason(ENGINE, "Pod: terminated.reason=OOMKilled; the record", "spec.resources.memory", Retry.USER, "raise spec.resources.memory"),
    "EngineDied": Reason(ENGINE, f"Pod: terminated.exitCode > 128 without a record; {_RECORD}", "", Retry.RESTART, "read the log of the pod's previous run (kubectl logs --previous); it is started again"),
    "EngineStalled": Reason(ENGINE, f"{_RECORD}; {_EVENT}: Killing after a failed liveness probe", "", Retry.RESTART, "look at the node's accelerators if it comes back; it is started again"),
    "ImagePullFailed": Reason(ENGINE, f"{_WAITING}: ErrImagePull, ImagePullBackOff, InvalidImageName", "spec.image", Retry.USER, "correct spec.image, or set spec.imagePullSecrets"),
    "StartTimeout": Reason(ENGINE, f"{_RECORD}; {_EVENT}: Killing after a failed startup probe", "spec.engine.startTimeoutSeconds", Retry.USER, "raise spec.engine.startTimeoutSeconds"),
    "PortInUse": Reason(ENGINE, _RECORD, "spec.engine.extraArgs", Retry.USER, "remove the argument or variable that takes the port"),
    "BadChatTemplate": Reason(ENGINE, _RECORD, "spec.engine.extraArgs", Retry.USER, "correct --chat-template in spec.engine.extraArgs"),
    "UnknownFailure": Reason(ENGINE, "Pod: terminated.message without a record; state.waiting of a container that somebody added", "", Retry.RESTART, "read the log of the pod's previous run (kubectl logs --previous)"),
    # UpToDate
    "RollingOut": Reason(UP_TO_DATE, "Pods: label fairlead.dev/template", "", Retry.WAIT, "wait for the new pods to be Ready"),
    "MixedRevisions": Reason(UP_TO_DATE, "/state of the Pods: model.revision", "spec.model.revision", Retry.USER, "delete the pods that serve another commit, they come back with the pinned one; or name a commit in spec.model.revision"),
    "RolloutBlocked": Reason(UP_TO_DATE, "Deployment: status.conditions[Progressing].reason=ProgressDeadlineExceeded; new Pods' user-must-act failures seen twice; ControllerRevision: annotation fairlead.dev/failed", "", Retry.USER, "correct the spec, or go back to the former one"),
    "WriteFailed": Reason(UP_TO_DATE, "the API server's answers to the operator: the same request refused for a minute", "", Retry.WAIT, "look at what the message names: a quota, a webhook, a right, or the API server itself"),
    # Autoscaled
    "AtMaximum": Reason(AUTOSCALED, f"{_LOAD}.inflight", "spec.autoscaling.maxReplicas", Retry.WAIT, "raise spec.autoscaling.maxReplicas, or let requests wait"),
    "MetricsUnavailable": Reason(AUTOSCALED, _LOAD, "", Retry.WAIT, "let the operator reach the pods' port 9090 (network policy, firewall); the number of replicas stays as it is meanwhile"),
}  # fmt: skip


def known(code: str) -> str:
    """`code` if it is a reason, UnknownFailure for one of a runtime that is newer than this operator."""
    return code if code in REASONS else "UnknownFailure"
