"""The built-in autoscaler's settings."""

from typing import Annotated

from pydantic import ConfigDict, Field

from fairlead_operator.api.fields import Model, rule, rules

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
