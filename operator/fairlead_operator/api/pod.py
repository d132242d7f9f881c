"""The parts of the spec that shape the pods around the engine: how many, where, how large, how they stop."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.json_schema import WithJsonSchema

from fairlead_operator.api.fields import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    LabelKey,
    LabelValue,
    Model,
    ObjectName,
    Quantity,
    rule,
    rules,
)
from fairlead_runtime.config import Device

#: The default of `resources.acceleratorName`, in the operator rather than the schema: on CPUs the field must stay unset.
DEFAULT_ACCELERATOR: Final = "nvidia.com/gpu"

Parallel = Annotated[int, Field(ge=1, le=64)]
#: Longest request that can be promised: a pod waits at most as long for running requests when it stops.
MAX_REQUEST_SECONDS: Final = 3600


class SecretKeyRef(Model):
    """One key of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._A-Za-z0-9]+$")]
    """Key within the Secret."""


class Parallelism(Model):
    """How one replica is spread over accelerators of one node."""

    tensor: Parallel = 1
    """Accelerators that share each layer. Must divide the model's number of attention heads."""
    pipeline: Parallel = 1
    """Groups of accelerators that hold consecutive layers."""


class RateLimit(Model):
    """A token bucket."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)]
    """Requests per second and replica that are served on average, whatever their route. What comes beyond is answered with 429 and Retry-After."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests that may come at once after a pause. Defaults to requestsPerSecond."""


class ApiKey(StrEnum):
    """Where the API key comes from, if not from a Secret of one's own."""

    GENERATE = "Generate"


class Serving(Model):
    """What the serving port promises to its clients."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.drainSeconds) || self.drainSeconds >= self.requestTimeoutSeconds",
                "drainSeconds must be at least requestTimeoutSeconds, or a stopping pod cuts requests that are in time",
                ".drainSeconds",
            ),
            rule(
                "!has(self.apiKey) || !has(self.apiKeySecretRef)",
                "apiKey and apiKeySecretRef exclude each other: keep apiKeySecretRef for keys of your own, or apiKey Generate for one that is made",
                ".apiKey",
            ),
        )
    )

    api_key_secret_ref: SecretKeyRef | None = None
    """Each line of this key is one accepted API key, sent as `Authorization: Bearer KEY`. It guards every route of the serving port. Unset leaves the port open, which the condition Secured shows."""
    api_key: ApiKey | None = None
    """Generate makes a random API key, once, in a Secret that belongs to the service; status.apiKeySecretName names it and its key `keys` holds it. It is never changed: delete the Secret to get another key, or add lines to it. Excludes apiKeySecretRef."""
    request_timeout_seconds: Annotated[int, Field(ge=1, le=MAX_REQUEST_SECONDS)] = 300
    """Deadline of one request in seconds. A request that passes it is aborted in the engine and answered with an error."""
    drain_seconds: Annotated[int, Field(ge=1, le=MAX_REQUEST_SECONDS)] | None = None
    """How long a stopping pod lets running requests finish, in seconds. Defaults to requestTimeoutSeconds, so that none is cut."""
    max_queued_requests: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Requests that may wait in each replica beside the engine.maxNumSeqs that run at a time; 0 lets none wait. One request may be several sequences (a batch, several prompts, n): it is let in as one, and counts in full for those after it. What comes beyond is answered with 503 and Retry-After. Unset lets any number wait."""
    rate_limit: RateLimit | None = None
    """How often each API key may ask a replica, or everybody together where no key is asked for. Unset for no limit."""


class Resources(Model):
    """What each pod asks of its node. There is never a CPU limit."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.device != 'CPU' || !has(self.acceleratorName)",
                "device CPU takes no accelerator: remove acceleratorName",
                ".acceleratorName",
            )
        )
    )

    device: Device = Device.ACCELERATOR
    """Accelerator runs the GPU build of the engine, CPU the CPU build. A replica on accelerators takes tensor x pipeline of them."""
    accelerator_name: LabelKey | None = None
    """Resource name under which nodes offer accelerators. Defaults to nvidia.com/gpu."""
    cpu: Quantity | None = None
    """CPUs requested. Defaults to 2, and 2 more per accelerator; 500m on device CPU."""
    memory: Quantity | None = None
    """Memory requested, and the limit at which the container is killed. Defaults to 8Gi, and 8Gi more per accelerator; 6Gi on device CPU."""
    ephemeral_storage: Quantity | None = None
    """Disk of the node requested for downloaded weights and compiled graphs, where these are not on a claim."""


class TolerationOperator(StrEnum):
    """How a toleration is compared with a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """A taint that the pods accept, as in a pod's spec."""

    key: LabelKey | None = None
    """Key of the taint. Unset with operator Exists means every taint."""
    operator: TolerationOperator | None = None
    """Exists accepts any value, Equal (the default) this one."""
    value: LabelValue | None = None
    """Value of the taint for operator Equal."""
    effect: TaintEffect | None = None
    """Effect of the taint; unset means all effects."""
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """How long the pod stays on the node once a NoExecute taint appears."""


#: Kubernetes' own affinity is deep and has its own validation: the Deployment is refused when it is wrong, and Accepted says so.
AffinityPart = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]
#: Under this name a node affinity says which nodes the pods must have.
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def _readable(affinity: dict[str, Any]) -> dict[str, Any]:
    """What the operator itself reads, to plan and to add to it, has the form that it has in a pod. Raises ValueError."""
    required = affinity.get(REQUIRED)
    if not isinstance(required, dict | None):
        raise ValueError(f"{REQUIRED} must be an object")
    for place, term in _objects(f"{REQUIRED}.nodeSelectorTerms", (required or {}).get("nodeSelectorTerms")):
        for part in ("matchExpressions", "matchFields"):
            for where, item in _objects(f"{place}.{part}", term.get(part)):
                words = [item.get("key"), item.get("operator"), *_list(f"{where}.values", item.get("values"))]
                if not all(isinstance(word, str) for word in words):
                    raise ValueError(f"{where} must have a key, an operator and a list of values, all of them strings")
    return affinity


def _objects(place: str, items: Any) -> list[tuple[str, dict[str, Any]]]:
    found = [(f"{place}[{number}]", item) for number, item in enumerate(_list(place, items))]
    for where, item in found:
        if not isinstance(item, dict):
            raise ValueError(f"{where} must be an object")
    return found


def _list(place: str, items: Any) -> list[Any]:
    if not isinstance(items, list | None):
        raise ValueError(f"{place} must be a list")
    return items or []


class Affinity(Model):
    """Scheduling preferences, exactly as in a pod's spec."""

    node_affinity: Annotated[AffinityPart, AfterValidator(_readable)] | None = None
    """Nodes to require or prefer."""
    pod_affinity: AffinityPart | None = None
    """Pods to be near."""
    pod_anti_affinity: AffinityPart | None = None
    """Pods to keep away from."""


class Placement(Model):
    """On which nodes the pods may run."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    """Labels that a node must carry."""
    tolerations: Annotated[
        tuple[Toleration, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Taints that the pods accept. A taint named like the accelerator resource is always accepted."""
    affinity: Affinity | None = None
    """Further scheduling requirements and preferences."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    queue_name: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN)] | None = None
    """LocalQueue of Kueue that admits the pods one by one; while it holds them, Scheduled says Queued. Kueue refuses another queue while pods are Ready: suspend the service first."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, for example nvidia where it is not the node's default."""
    min_accelerator_memory: Quantity | None = None
    """Least memory of each accelerator. Only nodes whose label nvidia.com/gpu.memory shows at least as much are used; note that an 80 GB card shows 81559 MiB, a little less than 80Gi."""
    supplemental_groups: Annotated[
        tuple[Annotated[int, Field(ge=1, le=2_147_483_647)], ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Group ids of the engine's process, for a claim whose files only a group may read."""


class ImagePullSecret(Model):
    """A Secret with credentials of an image registry."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_LABEL.replace("[-a-z0-9]*", "[-.a-z0-9]*"))]
    """Name of the Secret."""


class Disruption(StrEnum):
    """Whether a service of one replica may be evicted."""

    ALLOW = "Allow"
    BLOCK = "Block"
