"""The Deployment that keeps the pods, and the budget that keeps evictions from taking them all."""

from typing import Final

from fairlead_operator.api.pod import Disruption
from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.build.placement import queue_labels
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import Rollout

#: Pods that may be missing at a time: the PodDisruptionBudget's promise, and what the condition Available allows.
MAX_UNAVAILABLE: Final = 1
#: The runtime gives up at 95 % of the start time-out, the startup probe at 100 %; the Deployment speaks after both.
PROGRESS_MARGIN_SECONDS: Final = 60
#: Old ReplicaSets kept: one to look at, one to go back to.
REVISION_HISTORY: Final = 2


def build_deployment(service: Resolved, rollout: Rollout) -> Manifest:
    """The pods. Its strategy, and why, are what a restarted operator knows of a rollout under way."""
    described = metadata(service, service.name)
    step = {"maxSurge": 1, "maxUnavailable": 0} if rollout.surge else {"maxSurge": 0, "maxUnavailable": 1}
    why = {"annotations": {names.NO_ROOM: rollout.no_room}} if rollout.no_room else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**described, "labels": {**described["labels"], **queue_labels(service)}, **why},
        "spec": {
            "replicas": service.replicas,
            # Else `kubectl rollout pause` would hold every rollout to come.
            "paused": False,
            "selector": {"matchLabels": names.selector(service.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": step},
            "revisionHistoryLimit": REVISION_HISTORY,
            "progressDeadlineSeconds": service.config.start_timeout_seconds + PROGRESS_MARGIN_SECONDS,
            "template": rollout.target.template.pod,
        },
    }


def build_disruption_budget(service: Resolved) -> Manifest | None:
    """At most one pod evicted at a time; for one replica none at all if its owner says so. None where it promises nothing."""
    blocks = service.replicas == 1 and service.spec.disruption is Disruption.BLOCK
    if service.replicas < 2 and not blocks:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(service, service.name),
        "spec": {
            "maxUnavailable": 0 if blocks else MAX_UNAVAILABLE,
            "selector": {"matchLabels": names.selector(service.name)},
            # A pod that does not serve protects nothing: let it be evicted.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
