"""What the controller gathered about one service, and what core made of it: the types between gathering, judging and reporting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fairlead_operator.core.names import Manifest
from fairlead_operator.core.rejection import Rejection


@dataclass(frozen=True)
class PodEvent:
    """One event about a pod, of v1 or events.k8s.io/v1: the newest of its series."""

    type: str
    reason: str
    message: str
    last_seen: datetime
    count: int = 1


@dataclass(frozen=True)
class EngineState:
    """What a pod's /state said, as far as status repeats it. The last one is kept while the pod lives."""

    observed_at: datetime
    phase: str = ""
    started_at: float = 0.0
    startup: Mapping[str, float] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], observed_at: datetime) -> "EngineState":
        """From the body of GET /state. Raises ValueError on a version this release cannot read."""
        if body.get("version") != 1:
            raise ValueError(f"/state has version {body.get('version')!r}; this operator reads 1")
        return cls(
            observed_at=observed_at,
            phase=str(body.get("phase") or ""),
            started_at=float(body.get("startedAt") or 0.0),
            startup=body.get("startup") or {},
            engine=body.get("engine") or {},
            model=body.get("model") or {},
            memory=body.get("memory") or {},
        )


@dataclass(frozen=True)
class Accelerators:
    """How many accelerators of one resource name the cluster has; for messages only."""

    total: int
    free: int
    largest_free: int


@dataclass(frozen=True)
class Snapshot:
    """Everything that one reconcile looks at, taken at `now`."""

    #: The InferenceService as the API server returned it, status included.
    service: Mapping[str, Any]
    #: Deployment, Service, ConfigMaps and PodDisruptionBudget that our ownerReference controls.
    children: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    now: datetime
    replica_sets: tuple[Manifest, ...] = ()
    #: By the pod's uid.
    events: Mapping[str, tuple[PodEvent, ...]] = field(default_factory=dict)
    #: By the pod's uid.
    engine_states: Mapping[str, EngineState] = field(default_factory=dict)
    accelerators: Accelerators | None = None


@dataclass(frozen=True)
class Problem:
    """Something that keeps a pod, or the making of pods, from going on. `code` is a reason of core/reasons.py."""

    code: str
    #: What happened, without the remedy.
    message: str
    #: Path of the spec to change; "" takes the reason's own.
    field: str = ""
    #: What to do; "" takes the reason's own.
    remedy: str = ""
    time: datetime | None = None
    #: How often it was seen on this pod.
    count: int = 1
    #: True: a container ended; it belongs into lastFailure.
    ended: bool = False
    pod: str = ""


@dataclass(frozen=True)
class PodView:
    """One pod that is not finished, read."""

    name: str
    uid: str
    template: str
    #: Whether it runs the wanted template.
    current: bool
    created: datetime
    deleting: bool = False
    scheduled: bool = False
    #: The kubelet's Ready condition of the pod.
    ready: bool = False
    ready_since: datetime | None = None
    #: The startup probe has passed: the model was loaded and a token decoded once.
    started: bool = False
    restarts: int = 0
    node: str = ""
    #: What is wrong now; empty when it is Ready, or merely on its way.
    problems: tuple[Problem, ...] = ()
    #: The last end of its container that was a failure, also when it is Ready again.
    last_end: Problem | None = None
    state: EngineState | None = None
    raw: Manifest = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """A Snapshot, judged: what conditions and status are computed from."""

    name: str
    namespace: str
    generation: int
    now: datetime
    #: Why the spec cannot be carried out, or None.
    rejection: Rejection | None
    #: Pods wanted; under a rejection the ones that the last accepted spec wanted.
    wanted: int
    suspended: bool
    deleting: bool
    #: Hash of the wanted template; "" when there is none.
    template: str
    pods: tuple[PodView, ...]
    #: Of the Deployment: quota, admission, a rollout past its deadline.
    workload_problems: tuple[Problem, ...] = ()
    #: The rollout went past its deadline.
    overdue: bool = False
    #: The wanted Deployment has been seen by its controller.
    settled: bool = False
    secured: bool = False
    accelerator: str = ""
    accelerators: int = 0
    accelerators_free: Accelerators | None = None
    previous: Mapping[str, Any] = field(default_factory=dict)
    #: Look again then, even if nothing happens.
    recheck_at: datetime | None = None

    @property
    def active(self) -> tuple[PodView, ...]:
        """Pods of any revision that are not on their way out."""
        return tuple(pod for pod in self.pods if not pod.deleting)

    @property
    def current(self) -> tuple[PodView, ...]:
        """Active pods of the wanted template: the ones whose troubles are told."""
        return tuple(pod for pod in self.active if pod.current)
