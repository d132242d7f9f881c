"""Inputs for tests of the operator: services, pods and Deployments as the API server would return them.

Builders hide what does not matter; a test says what does.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from fairlead_operator.core.build import build_objects
from fairlead_operator.core.build.pod import build_pod_template, template_hash
from fairlead_operator.core.build.template import render
from fairlead_operator.core.fingerprint import fingerprint
from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import observe
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Defaults, Resolved, resolve
from fairlead_operator.core.revisions import Revision, Rollout
from fairlead_operator.core.seen import EngineState, Observed, PodEvent, Snapshot

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=30)
DEFAULTS = Defaults(runtime_image="example.test/runtime:0.1.0", runtime_image_cpu="example.test/runtime-cpu:0.1.0")
UID = "7c8a2f0e-1111-4222-8333-444455556666"


class ServiceBuilder:
    """`service().replicas(2).spec("engine", maxModelLen=4096)`; `.raw` is the object, `.resolved` what it asks for."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def _with(self, change: Mapping[str, Any]) -> Self:
        raw = deepcopy(self.raw)
        raw["spec"] |= change
        return type(self)(raw)

    def replicas(self, count: int) -> Self:
        return self._with({"replicas": count})

    def suspended(self) -> Self:
        return self._with({"suspend": True})

    def spec(self, section: str, **fields: Any) -> Self:
        """Fields of one section, added to it."""
        return self._with({section: {**self.raw["spec"].get(section, {}), **fields}})

    def top(self, **fields: Any) -> Self:
        """Fields of the spec itself."""
        return self._with(fields)

    def model(self, uri: str, **fields: Any) -> Self:
        return self._with({"model": {"uri": uri, **fields}})

    def on_cpu(self) -> Self:
        return self.spec("resources", device="CPU")

    def named(self, name: str) -> Self:
        raw = deepcopy(self.raw)
        raw["metadata"]["name"] = name
        return type(self)(raw)

    def deleting(self) -> Self:
        raw = deepcopy(self.raw)
        raw["metadata"]["deletionTimestamp"] = rfc3339(NOW)
        return type(self)(raw)

    def with_status(self, status: Mapping[str, Any]) -> Self:
        raw = deepcopy(self.raw)
        raw["status"] = deepcopy(dict(status))
        return type(self)(raw)

    @property
    def outcome(self) -> Resolved | Rejection:
        return resolve(self.raw, DEFAULTS)

    @property
    def resolved(self) -> Resolved:
        outcome = self.outcome
        assert isinstance(outcome, Resolved), outcome
        return outcome

    @property
    def revision(self) -> Revision:
        """What this release renders for it, as its first revision."""
        resolved = self.resolved
        annotations = self.raw["metadata"].get("annotations") or {}
        return Revision(f"{resolved.name}-{fingerprint(resolved.spec, annotations)}", 1, render(resolved))

    @property
    def objects(self) -> list[Manifest]:
        """Its children when nothing was there before."""
        return build_objects(self.resolved, Rollout(self.revision, self.revision))

    def child(self, kind: str) -> Manifest:
        """The one child of that kind when nothing was there before."""
        return next(manifest for manifest in self.objects if manifest["kind"] == kind)

    @property
    def rejection(self) -> Rejection:
        outcome = self.outcome
        assert isinstance(outcome, Rejection), outcome
        return outcome


def service(name: str = "mistral") -> ServiceBuilder:
    """One replica of an OCI model on one accelerator."""
    return ServiceBuilder(
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "InferenceService",
            "metadata": {"name": name, "namespace": "models", "uid": UID, "generation": 3},
            "spec": {"model": {"uri": "oci://example.test/mistral:7b"}},
        }
    )


class PodBuilder:
    """A pod of a service; every method returns another one. `.of(service)` makes the manifest."""

    def __init__(self, **facts: Any) -> None:
        self.facts: dict[str, Any] = {
            "name": "",
            "template": "",
            "age": 1200,
            "scheduled": True,
            "container": {},
            "conditions": [],
            **facts,
        }

    def _with(self, **facts: Any) -> Self:
        return type(self)(**{**self.facts, **facts})

    def named(self, name: str) -> Self:
        return self._with(name=name)

    def old(self) -> Self:
        """Of another template than the wanted one."""
        return self._with(template="0123456789")

    def deleting(self, seconds_ago: int = 0) -> Self:
        """On its way out; its grace period ended so long ago."""
        return self._with(deleting=rfc3339(NOW - timedelta(seconds=seconds_ago)))

    def aged(self, seconds: int) -> Self:
        """Created so long ago."""
        return self._with(age=seconds)

    def placed(self, seconds: int) -> Self:
        """Created so long ago, and on its node since then."""
        since = _condition("PodScheduled", "True", seconds)
        others = [condition for condition in self.facts["conditions"] if condition["type"] != "PodScheduled"]
        return self._with(age=seconds, conditions=[since, *others])

    def failed(self, reason: str, message: str, seconds_ago: int = 30) -> Self:
        """Given up by the kubelet."""
        told = [_condition("DisruptionTarget", "True", seconds_ago), _condition("Ready", "False", seconds_ago)]
        placed = _condition("PodScheduled", "True", max(seconds_ago, self.facts["age"]))
        return self._with(phase="Failed", reason=reason, message=message, conditions=[placed, *told])

    def restarts(self, count: int) -> Self:
        return self._with(container={**self.facts["container"], "restartCount": count})

    def ended_before(
        self, *, exit_code: int = 1, message: str = "", reason: str = "Error", seconds_ago: int = 60
    ) -> Self:
        """Its container's last run ended so."""
        ended = _terminated(exit_code, message, reason, seconds_ago)
        return self._with(container={**self.facts["container"], "lastState": {"terminated": ended}})

    def of(self, owner: ServiceBuilder, index: int = 0) -> Manifest:
        resolved = owner.resolved
        template = deepcopy(build_pod_template(resolved))
        facts = self.facts
        template["metadata"]["labels"]["fairlead.dev/template"] = facts["template"] or template_hash(resolved)
        name = facts["name"] or f"{resolved.name}-{index}"
        metadata: Manifest = {
            **template["metadata"],
            "name": name,
            "namespace": resolved.namespace,
            "uid": f"uid-{name}",
            "creationTimestamp": rfc3339(NOW - timedelta(seconds=facts["age"])),
        }
        if facts.get("deleting"):
            metadata["deletionTimestamp"] = facts["deleting"]
        spec = {**template["spec"], **({"nodeName": "node-1"} if facts["scheduled"] else {})}
        status: Manifest = {
            "phase": facts.get("phase", "Running"),
            "conditions": facts["conditions"],
            **{key: facts[key] for key in ("reason", "message") if key in facts},
        }
        if facts["scheduled"]:
            status["containerStatuses"] = [
                {"name": "engine", "restartCount": 0, "started": False, "ready": False, **facts["container"]}
            ]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _condition(kind: str, status: str, seconds_ago: int, **more: str) -> Manifest:
    return {"type": kind, "status": status, "lastTransitionTime": rfc3339(NOW - timedelta(seconds=seconds_ago)), **more}


def _terminated(exit_code: int, message: str, reason: str, seconds_ago: int) -> Manifest:
    return {
        "exitCode": exit_code,
        "reason": reason,
        "message": message,
        "startedAt": rfc3339(NOW - timedelta(seconds=seconds_ago + 100)),
        "finishedAt": rfc3339(NOW - timedelta(seconds=seconds_ago)),
    }


def ready(seconds: int = 900) -> PodBuilder:
    """A pod that has been Ready for so long."""
    return PodBuilder(
        container={
            "started": True,
            "ready": True,
            "state": {"running": {"startedAt": rfc3339(NOW - timedelta(seconds=seconds + 100))}},
        },
        conditions=[_condition("PodScheduled", "True", seconds + 200), _condition("Ready", "True", seconds)],
    )


def starting() -> PodBuilder:
    """A pod whose engine loads."""
    return PodBuilder(
        container={"state": {"running": {"startedAt": rfc3339(NOW - timedelta(seconds=20))}}},
        conditions=[_condition("PodScheduled", "True", 30), _condition("Ready", "False", 30)],
    )


def lost(seconds: int = 30) -> PodBuilder:
    """A pod that was Ready until its node fell silent: only the node's controller has written since."""
    return PodBuilder(
        container=ready().facts["container"],
        conditions=[
            _condition("PodScheduled", "True", 1000),
            _condition("ContainersReady", "True", 900),
            _condition("Ready", "False", seconds),
        ],
    )


def crashed(
    message: str = "", *, exit_code: int = 1, reason: str = "Error", times: int = 1, seconds_ago: int = 60
) -> PodBuilder:
    """A pod whose engine ended so often and is now held back."""
    return PodBuilder(
        container={
            "restartCount": times - 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": _terminated(exit_code, message, reason, seconds_ago)},
        },
        conditions=[_condition("PodScheduled", "True", 600), _condition("Ready", "False", 500)],
    )


def waiting(reason: str, message: str = "") -> PodBuilder:
    """A pod whose container does not start."""
    return PodBuilder(
        phase="Pending",
        container={"state": {"waiting": {"reason": reason, "message": message}}},
        conditions=[_condition("PodScheduled", "True", 60), _condition("Ready", "False", 60)],
    )


def unscheduled(message: str, reason: str = "Unschedulable", seconds_ago: int = 30) -> PodBuilder:
    """A pod without a node."""
    return PodBuilder(
        phase="Pending",
        scheduled=False,
        conditions=[_condition("PodScheduled", "False", seconds_ago, reason=reason, message=message)],
    )


def deployment(owner: ServiceBuilder, *conditions: Manifest) -> Manifest:
    """The service's Deployment as it stands in the API server."""
    live = deepcopy(owner.child("Deployment"))
    live["metadata"] |= {"generation": 1, "uid": "uid-deployment"}
    live["status"] = {"observedGeneration": 1, "conditions": list(conditions)}
    return live


def replica_failure(message: str, seconds_ago: int = 60) -> Manifest:
    return _condition("ReplicaFailure", "True", seconds_ago, reason="FailedCreate", message=message)


def overdue() -> Manifest:
    return _condition(
        "Progressing", "False", 60, reason="ProgressDeadlineExceeded", message="has timed out progressing"
    )


def event(reason: str, message: str, *, count: int = 1, seconds_ago: int = 5) -> PodEvent:
    return PodEvent("Warning", reason, message, NOW - timedelta(seconds=seconds_ago), count)


def snapshot(
    owner: ServiceBuilder,
    *pods: PodBuilder | Manifest,
    children: tuple[Manifest, ...] | None = None,
    events: tuple[PodEvent, ...] = (),
    states: Mapping[str, EngineState] | None = None,
    live: ServiceBuilder | None = None,
    **more: Any,
) -> Snapshot:
    """The service with these pods; `events` are the first pod's; `live` is the service that the pods and the Deployment come from."""
    source = live or owner
    made = tuple(pod.of(source, index) if isinstance(pod, PodBuilder) else pod for index, pod in enumerate(pods))
    return Snapshot(
        service=owner.raw,
        children=(deployment(source),) if children is None else children,
        pods=made,
        now=NOW,
        events={made[0]["metadata"]["uid"]: events} if events else {},
        engine_states=states or {},
        **more,
    )


def observed(owner: ServiceBuilder, *pods: PodBuilder | Manifest, **more: Any) -> Observed:
    """What is seen of the service with these pods."""
    return observe(snapshot(owner, *pods, **more), owner.outcome)


def record(code: str, message: str = "the engine said so", field: str = "", suggestion: str = "") -> str:
    """A termination record."""
    return json.dumps(
        {
            "code": code,
            "message": message,
            "field": field,
            "suggestion": suggestion,
            "phase": "loading",
            "engineVersion": "0.32.0",
        }
    )
