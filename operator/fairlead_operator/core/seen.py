"""What the controller gathered about one service, and what core made of it: the types between gathering, judging and reporting."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.api.rollout import Strategy
from fairlead_operator.core.autoscale import Progress
from fairlead_operator.core.load import Load
from fairlead_operator.core.names import Manifest, is_controlled_by
from fairlead_operator.core.refusal import Refusal
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.revisions import Rollout
from fairlead_runtime.memory import Plan

#: As much of it as a status holds.
LONGEST_PHASE: Final = 64


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
    #: Never part of any status: it changes all the time.
    load: Load | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any], observed_at: datetime) -> "EngineState":
        """From the body of GET /state.

        Raises ValueError on a version this release cannot read, and that, TypeError, AttributeError or OverflowError on nonsense.
        """
        if body.get("version") != 1:
            raise ValueError(f"/state has version {body.get('version')!r}; this operator reads 1")
        state = cls(
            observed_at=observed_at,
            phase=str(body.get("phase") or "")[:LONGEST_PHASE],
            started_at=float(body.get("startedAt") or 0.0),
            startup={step: float(at) for step, at in _object(body.get("startup")).items() if at is not None},
            engine=_object(body.get("engine")),
            model=_object(body.get("model")),
            memory=_object(body.get("memory")),
            load=Load.from_json(body),
        )
        # Python reads more than JSON is: infinities and halves of surrogate pairs, which no status can hold.
        told = [state.phase, state.startup, state.engine, state.model, state.memory]
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
        return state


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value or {}, Mapping):
        raise TypeError(f"/state has a {type(value).__name__} where an object belongs")
    return value or {}


@dataclass(frozen=True)
class Accelerators:
    """How many accelerators of one resource name there are on nodes that a pod may use; for messages only."""

    total: int
    free: int
    #: On one node.
    largest_free: int
    #: Accelerators of the largest node, free or not.
    largest: int = 0
    #: Nodes with most free ones, and how many.
    where: tuple[tuple[str, int], ...] = ()
    #: Free ones on nodes that health, labels or taints keep the pod from.
    elsewhere: int = 0


@dataclass(frozen=True)
class Snapshot:
    """Everything that one reconcile looks at, taken at `now`."""

    #: The InferenceService as the API server returned it, status included.
    service: Mapping[str, Any]
    #: Deployment, Service, ConfigMaps, PodDisruptionBudget and ControllerRevisions that our ownerReference controls.
    children: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    now: datetime
    #: Not watched: empty but where they were asked for.
    replica_sets: tuple[Manifest, ...] = ()
    #: By the pod's uid.
    events: Mapping[str, tuple[PodEvent, ...]] = field(default_factory=dict)
    #: By the pod's uid.
    engine_states: Mapping[str, EngineState] = field(default_factory=dict)
    accelerators: Accelerators | None = None
    #: Of the built-in autoscaler; None before its first look.
    scaling: Progress | None = None
    #: What the model will take, as far as that is known beforehand.
    planned: Plan | None = None
    #: What the API server keeps refusing.
    refusal: Refusal | None = None

    @property
    def deployment(self) -> Manifest | None:
        """Ours, as it is."""
        uid = self.service["metadata"]["uid"]
        ours = (each for each in self.children if each["kind"] == "Deployment" and is_controlled_by(each, uid))
        return next(ours, None)


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
    #: Whether it runs the template that pods are made from now.
    current: bool
    created: datetime
    deleting: bool = False
    scheduled: bool = False
    #: Since when it has a node.
    scheduled_since: datetime | None = None
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
    #: The commit of a hub's repository that it serves; "" when it has not said.
    commit: str = ""
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
    #: Hash of the template that pods are made from now; "" when there is none.
    template: str
    pods: tuple[PodView, ...]
    #: The Deployment as it is.
    deployment: Manifest | None = None
    #: What it is to run next, and how; None under a rejection.
    rollout: Rollout | None = None
    strategy: Strategy = Strategy.AUTO
    #: Of the Deployment: quota, admission, a rollout past its deadline.
    workload_problems: tuple[Problem, ...] = ()
    #: The rollout went past its deadline.
    overdue: bool = False
    #: The wanted Deployment has been seen by its controller.
    settled: bool = False
    #: The spec asks for an API key.
    key_wanted: bool = False
    #: Which pods ask for none, in words. A former spec's may go on.
    unguarded: tuple[str, ...] = ()
    accelerator: str = ""
    accelerators: int = 0
    accelerators_free: Accelerators | None = None
    #: The failure after which no pod is kept, or None.
    given_up: Problem | None = None
    #: A ReplicaSet of another template is to have pods, as far as ReplicaSets were asked for.
    keeps_former: bool = False
    #: Names the try that failures are counted in.
    attempt: str = ""
    #: The built-in autoscaler's rules, if it is configured; spec.replicas; where it stands.
    autoscaling: Autoscaling | None = None
    replicas: int = 0
    scaling: Progress | None = None
    #: What the API server keeps refusing: what is to be is not all there.
    refusal: Refusal | None = None
    previous: Mapping[str, Any] = field(default_factory=dict)
    #: Look again then, even if nothing happens.
    recheck_at: datetime | None = None

    @property
    def behind(self) -> int:
        """Pods that the Deployment has yet to replace, as its controller counts them: also ones of an equal template of ours.

        `kubectl rollout restart` makes such, and an edit by hand that was set back.
        """
        if self.deployment is None:
            return 0
        # Of a former generation it is right meanwhile: else each write of ours would seem to be the end of it.
        status = self.deployment.get("status", {})
        return max(0, int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0)))

    @property
    def active(self) -> tuple[PodView, ...]:
        """Pods of any revision that are not on their way out."""
        return tuple(pod for pod in self.pods if not pod.deleting)

    @property
    def current(self) -> tuple[PodView, ...]:
        """Active pods of the template that pods are made from: the ones whose troubles are told."""
        return tuple(pod for pod in self.active if pod.current)

    @property
    def up_to_date(self) -> tuple[PodView, ...]:
        """Active pods of what the spec asks for: not the ones of a former revision that was restored."""
        return () if self.rollout and self.rollout.restored else self.current
