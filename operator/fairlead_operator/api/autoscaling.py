"""The built-in autoscaler's settings, and what it tells about itself."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fairlead_operator.api.fields import Model, rule, rules

#: Decisions that status keeps.
MAX_DECISIONS: Final = 10
#: Bytes of a decision's reason.
MAX_REASON: Final = 512

Replicas = Annotated[int, Field(ge=0, le=1000)]


class Autoscaling(Model):
    """Sets `replicas` by what the pods are busy with."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.maxReplicas >= self.minReplicas",
                "autoscaling.maxReplicas must be at least autoscaling.minReplicas: raise the one or lower the other",
                ".maxReplicas",
            )
        )
    )

    min_replicas: Replicas = 1
    """Fewest replicas. 0 lets the service fall asleep after idleSeconds; it wakes when `replicas` is raised, by kubectl scale for example. Requests are not held while it sleeps."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Most replicas."""
    target_waiting_requests: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Requests that may wait in each replica beside those that it computes. More than that on average asks for more replicas."""
    target_kv_cache_usage_percent: Annotated[int, Field(alias="targetKVCacheUsagePercent", ge=1, le=100)] = 80
    """Share of the KV cache that requests may take in each replica, in percent. More than that on average asks for more replicas."""
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    """How long fewer replicas must have been enough before there are fewer."""
    idle_seconds: Annotated[int, Field(ge=10, le=604_800)] = 900
    """How long there must have been no request before the service falls asleep. Takes effect with minReplicas 0."""


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
