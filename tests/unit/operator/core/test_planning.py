"""Which accelerator a plan is for, and when it refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from architectures import MISTRAL_7B
from fairlead_operator.core import planning
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_operator.core.nodes import Node
from fairlead_operator.core.planning import Accelerator
from fairlead_runtime import memory
from fairlead_runtime.memory import GIB
from unit.operator.builders import ServiceBuilder, service, snapshot

MIB = 2**20
GPU = "nvidia.com/gpu"


def node(
    gib: float | None, resource: str = GPU, labels: Mapping[str, str] | None = None, *, healthy: bool = True
) -> Node:
    """gib: None for one that does not say its memory."""
    size = {} if gib is None else {"nvidia.com/gpu.memory": str(int(gib * 1024))}
    return Node(f"of-{gib}", {**size, **(labels or {})}, {resource: 8}, healthy=healthy)


def asked() -> ServiceBuilder:
    return service().model("hf://org/model")


@pytest.mark.parametrize(
    ("wanted", "nodes", "gib"),
    [
        pytest.param(asked(), [node(24), node(80)], 80, id="the largest that matches"),
        pytest.param(asked(), [node(24), node(80, healthy=False)], 80, id="one that is not ready now comes back"),
        pytest.param(asked().spec("placement", nodeSelector={"a": "b"}), [node(24, labels={"a": "b"}), node(80)], 24, id="the others do not match"),
        pytest.param(asked().spec("placement", minAcceleratorMemory="40Gi"), [node(24), node(80)], 80, id="a least memory: the nodes that have it"),
        pytest.param(asked().spec("placement", minAcceleratorMemory="40Gi"), [node(24)], 40, id="no node has it: the least itself"),
        pytest.param(asked().spec("placement", minAcceleratorMemory="40Gi"), None, 40, id="nodes may not be listed: the least"),
        pytest.param(asked(), None, None, id="neither is known"),
        pytest.param(asked(), [], None, id="no node"),
        pytest.param(asked(), [node(24), node(None)], None, id="one that matches does not say its memory"),
        pytest.param(asked(), [node(24, labels={"nvidia.com/gpu.sharing-strategy": "time-slicing"})], None, id="shared"),
        pytest.param(asked(), [node(24, labels={"nvidia.com/gpu.replicas": "4"})], None, id="handed out four times"),
        pytest.param(asked(), [node(80, labels={"nvidia.com/mig.strategy": "single"})], None, id="slices"),
        pytest.param(asked(), [node(80, labels={"nvidia.com/gpu.product": "NVIDIA-A100-SHARED"})], None, id="shared, by its product"),
        pytest.param(asked(), [node(80, labels={"nvidia.com/gpu.replicas": "1", "nvidia.com/mig.strategy": "none"})], 80, id="labels that say: not divided"),
        pytest.param(asked().spec("resources", acceleratorName="nvidia.com/mig-1g.10gb"), [node(80, "nvidia.com/mig-1g.10gb")], None, id="a slice by its name"),
        pytest.param(asked().on_cpu(), [node(80)], None, id="no accelerator"),
    ],
)  # fmt: skip
def test_the_accelerator(wanted: ServiceBuilder, nodes: list[Node] | None, gib: int | None) -> None:
    found = planning.accelerator(wanted.resolved, nodes)

    assert (found and found.memory) == (gib and gib * 1024 * MIB)


A100, H100 = "NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3"


def of_product(product: str, gib: float = 80) -> Node:
    return node(gib, labels={"nvidia.com/gpu.product": product})


@pytest.mark.parametrize(
    ("nodes", "product"),
    [
        pytest.param([of_product(A100), of_product(A100)], A100, id="all of one"),
        pytest.param([of_product(A100, 79.9), of_product(H100)], "", id="a smaller A100 may take what the largest does not"),
        pytest.param([of_product(A100), node(80)], "", id="one does not say"),
        pytest.param([], "", id="no node: the least memory has no name"),
    ],
)  # fmt: skip
def test_the_name_of_the_accelerator(nodes: list[Node], product: str) -> None:
    found = planning.accelerator(asked().spec("placement", minAcceleratorMemory="40Gi").resolved, nodes)

    assert found is not None
    assert found.product == product


@pytest.mark.parametrize(("product", "tokens"), [(A100, 2048), (H100, 8192), ("", 8192)])
def test_a_plan_is_for_the_accelerator_of_that_name(product: str, tokens: int) -> None:
    model = memory.read_config(MISTRAL_7B)
    on = Accelerator(80 * GIB, "x", product)

    plan = planning.make(asked().resolved, Checkpoint(model, memory.by_shape(model)), on)

    assert plan is not None
    assert plan.assumed["maxNumBatchedTokens"] == tokens


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        pytest.param(asked(), ("org/model", ""), id="a model of the hub"),
        pytest.param(service().model("hf://org/model", revision="v1"), ("org/model", "v1"), id="a revision of it"),
        pytest.param(service().model("pvc://models/x"), None, id="a claim's model only the pod can read"),
        pytest.param(asked().spec("engine", env=[{"name": "HF_ENDPOINT", "value": "http://other.test"}]), None, id="another hub than the operator's"),
        pytest.param(asked().on_cpu(), None, id="nothing to plan on a CPU"),
    ],
)  # fmt: skip
def test_what_the_operator_reads(wanted: ServiceBuilder, read: tuple[str, str] | None) -> None:
    assert planning.readable(wanted.resolved) == read


@pytest.mark.parametrize(
    ("speculative", "read"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"method": "ngram"}, None, id="guesses from the text"),
        pytest.param({"method": "draft_model", "model": "hf://org/draft"}, ("org/draft", ""), id="a model of its own"),
        pytest.param({"method": "eagle3", "model": "hf://org/head"}, ("org/head", ""), id="one that shares weights"),
        pytest.param({"method": "medusa", "model": "hf://org/heads"}, None, id="one whose memory is not computed"),
    ],
)  # fmt: skip
def test_which_second_model_the_operator_reads(
    speculative: dict[str, Any] | None, read: tuple[str, str] | None
) -> None:
    wanted = asked().spec("engine", speculative={**speculative, "tokens": 3}) if speculative else asked()

    assert planning.drafting(wanted.resolved) == read


@pytest.mark.parametrize("method", ["draft_model", "eagle3"])
def test_a_second_model_takes_its_share(method: str) -> None:
    model = memory.read_config(MISTRAL_7B)
    small = Checkpoint(model, memory.by_shape(model))
    wanted = asked().spec("engine", speculative={"method": method, "model": "hf://org/draft", "tokens": 3}).resolved
    alone, both = (planning.make(wanted, small, Accelerator(80 * GIB, "x"), second) for second in (None, small))

    own = memory.draft(method, model, small.weights).weights

    assert alone is not None
    assert both is not None
    assert own is not None
    assert both.kv_bytes_per_token == 2 * (alone.kv_bytes_per_token or 0)
    assert alone.weights is not None
    assert both.weights is not None
    assert both.weights.size == alone.weights.size + own.size
    assert both.verdict is memory.Verdict.UNKNOWN, "how much more it needs while it guesses is not computed"


def judged(gib: float, annotations: dict[str, str] | None = None, **engine: Any) -> str:
    """The field that the refusal names, "" where nothing is refused."""
    model = memory.read_config(MISTRAL_7B)
    on = Accelerator(int(gib * GIB), "an accelerator")
    plan = planning.make(asked().spec("engine", **engine).resolved, Checkpoint(model, memory.by_shape(model)), on)
    assert plan is not None
    verdict = planning.refusal(plan, on, annotations or {})
    return verdict.field if verdict else ""


@pytest.mark.parametrize(
    ("gib", "engine", "field"),
    [
        pytest.param(80, {}, "", id="7B on 80 GiB"),
        pytest.param(12, {}, "spec.parallelism.tensor", id="7B in 16 bits on 12 GiB"),
        pytest.param(18, {"maxModelLen": 32_000}, "spec.engine.maxModelLen", id="a context that is too long"),
        pytest.param(20, {"maxModelLen": 100_000}, "", id="one longer than the model's own: the engine says that"),
        pytest.param(12, {"extraArgs": ["--cpu-offload-gb=10"]}, "", id="an argument that is not modelled"),
        pytest.param(
            12, {"maxModelLen": "Auto"}, "spec.parallelism.tensor", id="the engine's own choice of length finds none"
        ),
    ],
)
def test_what_is_refused(gib: float, engine: dict[str, Any], field: str) -> None:
    assert judged(gib, **engine) == field


def test_the_margin_between_what_fits_and_what_is_refused() -> None:
    """Going down in steps of a tenth of a GiB: first it surely fits, then it may not, and only then it is refused."""
    model = memory.read_config(MISTRAL_7B)
    weights = memory.by_shape(model)
    verdicts = []
    for tenths in range(300, 120, -1):
        on = Accelerator(int(tenths / 10 * GIB), "an accelerator")
        plan = planning.make(asked().resolved, Checkpoint(model, weights), on)
        assert plan is not None
        verdicts.append(plan.verdict)
        assert (planning.refusal(plan, on, {}) is not None) == (plan.verdict is memory.Verdict.DOES_NOT_FIT)

    order = [memory.Verdict.FITS, memory.Verdict.UNKNOWN, memory.Verdict.DOES_NOT_FIT]
    assert sorted(verdicts, key=order.index) == verdicts
    assert 10 <= verdicts.count(memory.Verdict.UNKNOWN) <= 40


def test_the_annotation_overrides() -> None:
    assert judged(12, {"fairlead.dev/skip-plan": "true"}) == ""
    assert judged(12, {"fairlead.dev/skip-plan": "false"}) == "spec.parallelism.tensor"


def test_the_message_has_numbers_field_and_way_out() -> None:
    model = memory.read_config(MISTRAL_7B)
    on = Accelerator(12 * GIB, "the accelerator of node a, the largest that matches,")
    plan = planning.make(asked().resolved, Checkpoint(model, memory.by_shape(model)), on)
    assert plan is not None
    verdict = planning.refusal(plan, on, {})

    assert verdict is not None
    assert verdict.reason == "DoesNotFit"
    for part in ("node a", "13.5 GiB", "12.0 GiB", "change spec.parallelism.tensor", "fairlead.dev/skip-plan=true"):
        assert part in verdict.message


def test_a_plan_is_told_and_kept_for_its_generation() -> None:
    model = memory.read_config(MISTRAL_7B)
    plan = planning.make(asked().resolved, Checkpoint(model, memory.by_shape(model)), Accelerator(80 * GIB, "x"))
    seen = snapshot(asked())
    told = planning.told(replace(seen, planned=plan))

    assert told["acceleratorBytes"] == 80 * GIB
    assert told["kvCacheTokens"] > 400_000
    generation = seen.service["metadata"]["generation"]
    for observed, kept in ((generation, told), (generation - 1, {})):
        status = {"observedGeneration": observed, "memory": {"planned": told}}
        assert planning.told(replace(seen, service={**seen.service, "status": status})) == kept


def test_a_plan_of_any_size_can_be_told() -> None:
    model = memory.read_config(MISTRAL_7B)
    plan = planning.make(asked().resolved, Checkpoint(model, memory.by_shape(model)), Accelerator(80 * GIB, "x"))
    assert plan
    assert plan.kv_cache
    cache = replace(plan.kv_cache, size=5 * 2**60)

    told = planning.told(
        replace(
            snapshot(asked()), planned=replace(plan, max_concurrency=2.0**40, kv_cache_tokens=2**70, kv_cache=cache)
        )
    )

    assert (told["maxConcurrency"], told["kvCacheTokens"], told["kvCacheBytes"]) == (2**31 - 1, 2**62, 2**62)
