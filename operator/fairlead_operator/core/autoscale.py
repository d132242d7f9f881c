"""How many replicas a service should have, from what its pods are busy with. Pure: the controller polls and writes.

The arithmetic is absolute: all requests, divided by what one replica takes. So replicas that are still starting change nothing
about the answer, and no number of looks at the same load adds up. What is not known is taken for what does no harm: a pod that
does not answer is idle when there might be more replicas, and full when there might be fewer, as HorizontalPodAutoscaler has it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.api.status import ScalingDecision
from fairlead_operator.core.load import Load

#: Share of a target by which the load may differ from it without consequences; HorizontalPodAutoscaler's.
TOLERANCE: Final = 0.1
#: An autoscaler that has just begun to look puts nothing to sleep for so many seconds.
SETTLED: Final = timedelta(seconds=30)


class State(StrEnum):
    """Where the autoscaler stands with a service: the reasons of the condition Autoscaled."""

    ACTIVE = "ScalingActive"
    AT_MINIMUM = "AtMinimum"
    AT_MAXIMUM = "AtMaximum"
    UNAVAILABLE = "MetricsUnavailable"
    STARTING = "NoReplicaReady"
    ASLEEP = "Asleep"
    SUSPENDED = "Suspended"


@dataclass(frozen=True)
class Replica:
    """One pod that is not on its way out. `load` is None when it did not answer lately."""

    ready: bool
    load: Load | None = None


@dataclass(frozen=True)
class Recommendation:
    """What the load asked for at a moment, maxReplicas left aside."""

    at: datetime
    replicas: int


@dataclass(frozen=True)
class Memory:
    """What an autoscaler keeps between two looks. Losing it is safe: it begins with what there is, and waits from then on."""

    since: datetime
    #: spec.replicas as last seen, or as set by itself.
    replicas: int
    recent: tuple[Recommendation, ...]


@dataclass(frozen=True)
class Outlook:
    """What to do about a service: `to` replicas because of `reason`, or nothing."""

    state: State
    memory: Memory
    to: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """Where the autoscaler of this process stands with a service, and what it changed; newest first."""

    outlook: Outlook
    decisions: tuple[ScalingDecision, ...] = ()
    #: Uid of the service that it is about: another of its name may have come.
    of: str = ""


def configured(service: Mapping[str, Any]) -> Autoscaling | None:
    """The rules in an InferenceService, None where there are none, or none that this release can read."""
    raw = (service.get("spec") or {}).get("autoscaling")
    try:
        return None if raw is None else Autoscaling.model_validate(raw)
    except ValidationError:
        return None


def decide(
    rules: Autoscaling,
    replicas: int,
    pods: Sequence[Replica],
    memory: Memory | None,
    now: datetime,
    *,
    suspended: bool = False,
) -> Outlook:
    """`replicas` is spec.replicas; `pods` are of any revision."""
    memory = _remembered(rules, replicas, memory, now)
    if suspended:
        return Outlook(State.SUSPENDED, memory)
    if replicas == 0:
        return Outlook(State.ASLEEP, memory)
    if replicas < rules.min_replicas:
        return Outlook(State.AT_MINIMUM, memory, rules.min_replicas, f"minReplicas is {rules.min_replicas}")
    if replicas > rules.max_replicas:
        return Outlook(State.ACTIVE, memory, rules.max_replicas, f"maxReplicas is {rules.max_replicas}")
    ready = [pod for pod in pods if pod.ready]
    loads = [pod.load for pod in ready if pod.load]
    if not ready:
        return Outlook(State.STARTING, memory)
    if not loads:
        return Outlook(State.UNAVAILABLE, memory)
    if len(loads) == len(pods) and _slept(rules, loads, memory, now):
        return Outlook(State.ASLEEP, memory, 0, f"no request for {rules.idle_seconds} s")
    return _scaled(rules, replicas, ready, memory, now)


def _remembered(rules: Autoscaling, replicas: int, memory: Memory | None, now: datetime) -> Memory:
    """Without what is too old, and with the number that somebody else has set meanwhile: it counts as a recommendation."""
    foreign = Recommendation(now, min(replicas, rules.max_replicas))
    if memory is None:
        return Memory(now, replicas, (foreign,))
    oldest = now - timedelta(seconds=rules.scale_down_delay_seconds)
    kept = tuple(one for one in memory.recent if one.at > oldest)
    return Memory(memory.since, replicas, kept if replicas == memory.replicas else (*kept, foreign))


def _slept(rules: Autoscaling, loads: Sequence[Load], memory: Memory, now: datetime) -> bool:
    """Whether there has been no request for long enough. The pods measure that, so a restart of the operator forgets nothing."""
    return (
        rules.min_replicas == 0
        and now - memory.since >= min(SETTLED, timedelta(seconds=rules.idle_seconds))
        and all(not load.requests and load.idle_seconds >= rules.idle_seconds for load in loads)
    )


def _scaled(rules: Autoscaling, replicas: int, ready: Sequence[Replica], memory: Memory, now: datetime) -> Outlook:
    loads = [pod.load for pod in ready if pod.load]
    more, why = _more(rules, replicas, len(ready), loads)
    wanted = more if more > replicas else min(replicas, _enough(rules, loads) + len(ready) - len(loads))
    # Only a later, lower recommendation can matter beside an earlier, higher one.
    recent = (*(one for one in memory.recent if one.replicas > wanted), Recommendation(now, wanted))
    memory = replace(memory, recent=recent)
    highest = max(one.replicas for one in recent)
    to = min(max(wanted if wanted > replicas else min(replicas, highest), rules.min_replicas, 1), rules.max_replicas)
    state = State.AT_MINIMUM if to <= rules.min_replicas else State.ACTIVE
    if to == rules.max_replicas and highest > rules.max_replicas:
        state = State.AT_MAXIMUM
    if to == replicas:
        return Outlook(state, memory)
    delay = rules.scale_down_delay_seconds
    return Outlook(state, memory, to, why if to > replicas else f"{counted(to)} been enough for {delay} s")


def _more(rules: Autoscaling, replicas: int, ready: int, loads: Sequence[Load]) -> tuple[int, str]:
    """How many replicas the load asks for, if that is more than there are, and why."""
    found = [(0, "")]
    waiting, computed = sum(load.waiting for load in loads), sum(load.running for load in loads)
    target = rules.target_waiting_requests
    if waiting:
        # A replica that lets requests wait computes as many as it can.
        slots = max(load.running for load in loads if load.waiting)
        need = (waiting + computed) / (slots + target)
        crowded = ready >= replicas and waiting > ready * target * (1 + TOLERANCE)
        if crowded or need > replicas * (1 + TOLERANCE):
            words = f"{waiting} requests wait on {ready} Ready, more than {target} each; one computes {slots} at a time"
            found.append((max(math.ceil(need), replicas + 1), words))
    used = sum(load.kv_cache_percent for load in loads)
    need = used / rules.target_kv_cache_usage_percent
    if need > replicas * (1 + TOLERANCE):
        words = f"requests take {used // ready}% of the KV cache on average, more than {rules.target_kv_cache_usage_percent}%"
        found.append((math.ceil(need), words))
    return max(found)


def _enough(rules: Autoscaling, loads: Sequence[Load]) -> int:
    """With how few replicas, at least one, no request would wait and no KV cache be fuller than wanted."""
    used = sum(load.kv_cache_percent for load in loads) / rules.target_kv_cache_usage_percent
    slots = min(_slots(rules, load, loads) for load in loads)
    need = max(used, sum(load.requests for load in loads) / max(1, slots))
    return max(1, math.ceil(need * (1 + TOLERANCE)))


def _slots(rules: Autoscaling, load: Load, loads: Sequence[Load]) -> int:
    """Requests that this replica computes at a time: seen where some wait, else by its setting, else what is bearable."""
    if load.waiting:
        return load.running
    return load.max_running or max(load.running for load in loads) + rules.target_waiting_requests


def counted(replicas: int) -> str:
    """`3 replicas have`."""
    return "1 replica has" if replicas == 1 else f"{replicas} replicas have"
