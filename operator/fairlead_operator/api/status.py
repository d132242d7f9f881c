"""InferenceService's status: what the operator says. Written whole, by the operator alone, and only when it differs."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fairlead_operator.api.autoscaling import Replicas
from fairlead_operator.api.fields import Model

#: Failing pods first, then the newest: enough to act on, whatever the number of replicas.
MAX_REPLICA_STATES: Final = 32
#: Bytes of a condition's message; the engine's own texts are cut to it.
MAX_MESSAGE: Final = 2048
#: Bytes of the launched command, joined.
MAX_COMMAND: Final = 4096
#: Decisions of the built-in autoscaler.
MAX_DECISIONS: Final = 10
#: Bytes of a decision's reason.
MAX_REASON: Final = 512
#: Largest of a count and of bytes; characters of a name or a field's path.
MAX_COUNT: Final = 2**31 - 1
MAX_BYTES: Final = 2**62
MAX_NAME: Final = 253

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Bytes = Annotated[int, Field(ge=0, le=MAX_BYTES)]
Text = Annotated[str, Field(max_length=MAX_MESSAGE)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Code = Annotated[str, Field(max_length=64)]


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One statement about the service, with its cause."""

    type: Code
    """What is stated: Accepted, Scheduled, ModelAvailable, EngineHealthy, UpToDate, Secured, Available, Ready; Autoscaled where spec.autoscaling is set; Reconciling or Stalled while they hold."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """The cause in one word; stable, for machines."""
    message: Text
    """The cause in a sentence that ends with what to do."""
    last_transition_time: datetime
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)]
    """The generation of the spec that this is about."""


class ModelReport(Model):
    """The model as the engine loaded it."""

    name: Name | None = None
    """Name that clients send."""
    architecture: Name | None = None
    """Model class in the engine."""
    parameters: Bytes | None = None
    """Number of weights."""
    max_model_len: Count | None = None
    """Longest sequence in tokens that the engine accepts."""
    revision: Name | None = None
    """Revision of the hub's repository that is served: the commit that a branch or a tag was resolved to."""


class ReportedMemory(Model):
    """Memory of one replica, as the engine reported it."""

    weights_bytes: Bytes | None = None
    """Weights per accelerator."""
    kv_cache_bytes: Bytes | None = None
    """KV cache per accelerator."""
    kv_cache_tokens: Bytes | None = None
    """Tokens that fit the KV cache."""
    max_concurrency: Count | None = None
    """Requests of the longest length that fit at the same time, rounded down."""


class PlannedMemory(Model):
    """Memory of one replica, as it was computed before it had a pod."""

    accelerator_bytes: Bytes | None = None
    """Memory of the largest accelerator that the pods could get."""
    weights_bytes: Bytes | None = None
    """Weights per accelerator."""
    kv_cache_bytes: Bytes | None = None
    """KV cache per accelerator."""
    kv_cache_tokens: Bytes | None = None
    """Tokens that fit the KV cache."""
    max_concurrency: Count | None = None
    """Requests of the longest length that fit at the same time, rounded down."""
    largest_model_len: Bytes | None = None
    """Longest context in tokens that fits."""


class Memory(Model):
    """What the model takes."""

    planned: PlannedMemory | None = None
    """Memory of one replica, as it was computed before it had a pod; absent where model or accelerator could not be known."""
    reported: ReportedMemory | None = None
    """Memory of one replica, as the engine reported it."""


class EngineReport(Model):
    """The engine as it was launched."""

    version: Code | None = None
    """Version of vLLM."""
    command: Annotated[tuple[Annotated[str, Field(max_length=MAX_COMMAND)], ...], Field(max_length=256)] = ()
    """Arguments of the engine, secrets left out, cut to 4 KiB."""


class FailureReport(Model):
    """Why a container of the engine ended."""

    code: Code
    """The cause in one word."""
    message: Text
    """The engine's own words and numbers."""
    field: Name | None = None
    """Field of the spec to change."""


class LastFailure(FailureReport):
    """The last failure of this template's pods; it stays when the pod is gone."""

    time: datetime
    """When the container ended."""
    pod: Name
    """Pod in which it happened."""
    count: Annotated[int, Field(ge=1, le=2_147_483_647)]
    """How often this happened to pods of this template, one after the other."""
    template: Code
    """Hash of the pod template that failed."""
    attempt: Code = ""
    """Try that the count belongs to: it changes with the spec, and with the annotation fairlead.dev/retry."""


class Startup(Model):
    """Seconds from the pod's creation to the end of each step, or from the end of the container's last run where it was started again.

    A step that is not over is left out.
    """

    scheduled: Count | None = None
    """A node was found."""
    pulled: Count | None = None
    """Images were there and the container started."""
    imported: Count | None = None
    """The engine's code was imported."""
    fetched: Count | None = None
    """Weights were downloaded."""
    loaded: Count | None = None
    """Weights were in memory."""
    compiled: Count | None = None
    """Kernels were compiled."""
    captured: Count | None = None
    """CUDA graphs were captured."""
    warmed: Count | None = None
    """The first token was decoded, and one request of each kind answered."""
    ready: Count | None = None
    """The pod was Ready."""


class ReplicaState(Model):
    """One pod."""

    pod: Name
    """Name of the pod."""
    phase: Code
    """Pending, Waiting, Starting, importing, loading, warming, Ready, NotReady, draining, Failed or Terminating."""
    node: Name | None = None
    """Node that it runs on."""
    template: Code | None = None
    """Hash of its template."""
    startup: Startup | None = None
    """How long each step of its start took."""
    failure: FailureReport | None = None
    """Why it is not Ready, if something failed."""


class ScalingDecision(Model):
    """One change of `replicas` by the built-in autoscaler."""

    time: datetime
    """When it was decided."""
    from_: Annotated[int, Field(alias="from", ge=0, le=1000)]
    """Replicas before."""
    to: Replicas
    """Replicas after."""
    reason: Annotated[str, Field(max_length=MAX_REASON)]
    """What the pods were busy with."""


class AutoscalingReport(Model):
    """What the built-in autoscaler did."""

    desired_replicas: Replicas
    """Replicas that its last decision asked for; those of the spec before there was one."""
    last_scale_time: datetime | None = None
    """When it last changed them."""
    decisions: Annotated[
        tuple[ScalingDecision, ...],
        Field(max_length=MAX_DECISIONS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Its last changes, newest first, at most ten."""


class Status(Model):
    """What is served right now, and what to change if that is not what was asked for."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """Generation of the spec that this status is about."""
    replicas: Count = 0
    """Pods that exist, of any revision, those on their way out left aside."""
    ready_replicas: Count = 0
    """Pods of the current spec that are Ready: each has answered a real decode."""
    updated_replicas: Count = 0
    """Pods of the current spec."""
    replica_summary: Annotated[str, Field(max_length=32)] = "0/0"
    """Ready of wanted pods, for people."""
    selector: Annotated[str, Field(max_length=128)] = ""
    """Label selector of the pods, for autoscalers."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """OpenAI-compatible base URL inside the cluster."""
    api_key_secret_name: Name | None = None
    """Secret with the API key that was made for serving.apiKey Generate, under the key `keys`."""
    accelerators: Annotated[str, Field(max_length=384)] | None = None
    """Accelerators per replica, for people."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    """Statements about the service. Ready is the one to wait for; the others say what is missing."""
    model: ModelReport | None = None
    """The model as the engine loaded it."""
    memory: Memory | None = None
    """What the model takes."""
    engine: EngineReport | None = None
    """The engine as it was launched."""
    autoscaling: AutoscalingReport | None = None
    """What the built-in autoscaler did, while it is configured."""
    last_failure: LastFailure | None = None
    """The last failure of an engine of the current template."""
    served_template: Code | None = None
    """Hash of the last pod template of which a pod was Ready."""
    replica_states: Annotated[
        tuple[ReplicaState, ...],
        Field(
            max_length=MAX_REPLICA_STATES,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["pod"]},
        ),
    ] = ()
    """Pods one by one, failing ones first, at most 32."""
