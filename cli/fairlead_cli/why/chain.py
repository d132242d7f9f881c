"""The chain from spec to engine, a sentence for each link. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fairlead_cli.why.acting import Acting
from fairlead_cli.why.gathering import Sight
from fairlead_cli.why.pods import Replica
from fairlead_cli.why.spans import since
from fairlead_operator.core.names import Manifest


def spec_line(service: Manifest, act: Acting, now: datetime, wanted: int) -> str:
    generation = service["metadata"].get("generation", 0)
    seen = "seen by the operator" if act.current else "not seen by the operator"
    changed = f", changed {since(act.changed, now)} ago" if act.changed else ""
    model = ((service.get("spec") or {}).get("model") or {}).get("uri", "")
    return f"generation {generation}{changed}, {seen}: {model}, {count(wanted, 'replica')} wanted"


def deployment_line(sight: Sight, pods: Sequence[Replica], wanted: int) -> str:
    """How many pods there are, of which spec; the status counts where pods may not be read."""
    status = sight.service.get("status") or {}
    active = [pod for pod in pods if pod.phase != "Terminating"]
    made, ready = len(active), sum(1 for pod in active if pod.phase == "Ready")
    old = sum(1 for pod in active if pod.wanted is False)
    if sight.pods is None:
        made, ready = int(status.get("replicas") or 0), int(status.get("readyReplicas") or 0)
        old = made - int(status.get("updatedReplicas") or 0)
    if sight.deployment == {}:
        return "there is no Deployment yet"
    if not wanted and not pods:
        return "none, and none is wanted"
    return f"{made} made, {wanted} wanted, {ready} Ready" + (f", {old} of an earlier spec" if old else "")


def engine_line(status: Mapping[str, Any], pods: Sequence[Replica]) -> str:
    """How the told pod's engine ended, else what runs."""
    for pod in pods:
        if pod.failure and pod.failure.ended and pod.exit_code is not None and pod.wanted is not False:
            version = (
                f"vLLM {pod.record.engine_version} " if pod.record and pod.record.engine_version else "the engine "
            )
            phase = f" while {pod.record.phase}" if pod.record and pod.record.phase else ""
            record = "its record names the cause" if pod.record else "it left no record"
            return f"{version}ended with exit code {pod.exit_code}{phase}; {record}"
    engine, model = status.get("engine") or {}, status.get("model") or {}
    memory = (status.get("memory") or {}).get("reported") or {}
    told = [f"vLLM {engine['version']}"] if engine.get("version") else []
    told += [f"up to {model['maxModelLen']} tokens a request"] if model.get("maxModelLen") else []
    told += [f"KV cache of {memory['kvCacheTokens']} tokens"] if memory.get("kvCacheTokens") else []
    return ", ".join(told)


def count(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
