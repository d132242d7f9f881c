"""The plan of a service's memory before it has a pod: for which accelerator, what it says in status, and when it refuses.

Refused is only what does not fit the largest accelerator that the pods could get, with the error of every estimate in its favour and
nothing unknown. Slices of an accelerator, shared ones, and nodes that do not say their memory never refuse anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fairlead_operator.api.fields import amount
from fairlead_operator.api.pod import DEFAULT_ACCELERATOR
from fairlead_operator.api.status import MAX_BYTES, MAX_COUNT, PlannedMemory
from fairlead_operator.core import names
from fairlead_operator.core.build.placement import placement
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_operator.core.nodes import Node, admits
from fairlead_operator.core.rejection import Rejection, verdict_of
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.seen import Snapshot
from fairlead_operator.core.source import SourceKind
from fairlead_runtime import memory, planned

#: Its reason in core/reasons.py.
DOES_NOT_FIT: Final = "DoesNotFit"
#: Written by NVIDIA's device plugin and gpu-feature-discovery.
_SHARING: Final = "nvidia.com/gpu.sharing-strategy"
_COPIES: Final = "nvidia.com/gpu.replicas"
_MIG: Final = "nvidia.com/mig.strategy"
_PRODUCT: Final = "nvidia.com/gpu.product"


@dataclass(frozen=True)
class Accelerator:
    """memory: bytes. source: who says so, for messages. product: its name by NVIDIA's label, "" where that is not known."""

    memory: int
    source: str
    product: str = ""


def readable(service: Resolved) -> tuple[str, str] | None:
    """(repository, revision) on the operator's own hub; None for what only the pod can read."""
    own_hub = any(variable.name == "HF_ENDPOINT" for variable in service.spec.engine.env)
    if service.source.kind is not SourceKind.HUB or own_hub or not service.accelerators:
        return None
    return service.source.reference, service.spec.model.revision or ""


def drafting(service: Resolved) -> tuple[str, str] | None:
    """The same for the second model that guesses tokens, where its memory can be computed: at its main revision, as the engine takes it."""
    name = planned.drafting(service.config)
    return (name, "") if name else None


def accelerator(service: Resolved, nodes: Sequence[Node] | None) -> Accelerator | None:
    """The largest that the pods could get; None where that is not known. nodes: None where they are not known."""
    if service.accelerator != DEFAULT_ACCELERATOR:
        return None
    where = placement(service)
    # One that is cordoned or not ready now comes back.
    matching = [
        node
        for node in nodes or ()
        if node.accelerators.get(service.accelerator) and admits(replace(node, healthy=True), where)
    ]
    if any(_divided(node) for node in matching):
        return None
    sizes = [(node.accelerator_memory, node.name) for node in matching]
    if any(size is None for size, _ in sizes):
        return None
    if sizes:
        size, name = max((size or 0, name) for size, name in sizes)
        # Of several the engine may choose larger steps on the largest: none is named, so that nothing is refused that fits another.
        products = {node.labels.get(_PRODUCT, "") for node in matching}
        product = products.pop() if len(products) == 1 else ""
        return Accelerator(size, f"the accelerator of node {name}, the largest that matches,", product)
    least = service.spec.placement.min_accelerator_memory
    return Accelerator(int(amount(least)), "an accelerator of spec.placement.minAcceleratorMemory") if least else None


def _divided(node: Node) -> bool:
    """Whether its accelerators are slices, or handed out more than once."""
    labels = node.labels
    return (
        labels.get(_MIG, "none") not in {"", "none"}
        or labels.get(_SHARING, "none") not in {"", "none"}
        or labels.get(_COPIES, "1") not in {"0", "1"}
        or "MIG" in labels.get(_PRODUCT, "")
        or labels.get(_PRODUCT, "").endswith("-SHARED")
    )


def make(
    service: Resolved, checkpoint: Checkpoint, on: Accelerator, guessing: Checkpoint | None = None
) -> memory.Plan | None:
    """None where spec and model contradict each other: the engine says that best.

    guessing: what drafting() names. Without it the model is planned alone, and nothing is refused: the plan knows what it leaves out.
    """
    variables = {variable.name: variable.value or "" for variable in service.spec.engine.env}
    settings = planned.settings(service.config, variables, on.product)
    draft = planned.draft(service.config, guessing.model, guessing.weights) if guessing else None
    try:
        return memory.plan(checkpoint.model, checkpoint.weights, settings, on.memory, draft)
    except memory.ConfigError:
        return None


def refusal(plan: memory.Plan, on: Accelerator, annotations: Mapping[str, str]) -> Rejection | None:
    """Why no pod is made; None where it may fit, or where the user knows better."""
    if plan.verdict is not memory.Verdict.DOES_NOT_FIT or names.skips_plan(annotations):
        return None
    return Rejection(
        DOES_NOT_FIT,
        f"on {on.source} {plan.problem}; change {plan.field}, or annotate the service with {names.SKIP_PLAN}=true to start it nevertheless",
        plan.field,
    )


def refused_before(service: Mapping[str, Any]) -> Rejection | None:
    """What refusal() has said of this generation, by its status, unless the user knows better by now."""
    accepted = verdict_of(service)
    if accepted.get("reason") != DOES_NOT_FIT or names.skips_plan(service["metadata"].get("annotations") or {}):
        return None
    return Rejection(DOES_NOT_FIT, str(accepted["message"]))


def told(snapshot: Snapshot) -> dict[str, Any]:
    """`status.memory.planned`; empty where nothing is planned. An earlier plan holds for its generation."""
    plan = snapshot.planned
    if plan is None:
        before = snapshot.service.get("status") or {}
        same = before.get("observedGeneration") == snapshot.service["metadata"].get("generation")
        kept: dict[str, Any] = (before.get("memory") or {}).get("planned") or {}
        return kept if same else {}
    shown = PlannedMemory(
        accelerator_bytes=plan.gpu,
        weights_bytes=plan.weights.size if plan.weights else None,
        kv_cache_bytes=min(MAX_BYTES, max(0, plan.kv_cache.size)) if plan.kv_cache else None,
        kv_cache_tokens=min(MAX_BYTES, plan.kv_cache_tokens) if plan.kv_cache_tokens is not None else None,
        max_concurrency=min(MAX_COUNT, int(plan.max_concurrency)) if plan.max_concurrency is not None else None,
        largest_model_len=plan.largest_model_len,
    )
    return shown.model_dump(mode="json", by_alias=True, exclude_none=True)
