"""Models are read once, in the background, and nothing that goes wrong there stops a service."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.hub import Hub, UnreadableError
from fairlead_operator.controller.outcomes import ApiError
from fairlead_operator.controller.planner import AT_ONCE, PATIENCE, SILENT, Planner
from fairlead_operator.controller.store import Key
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_operator.core.rejection import Rejection
from fairlead_runtime import memory
from unit.operator.builders import NOW, ServiceBuilder, service

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 128_256, "hidden_size": 8192,
    "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
}  # fmt: skip


#: As it is told.
REFUSED = Rejection("DoesNotFit", "spec.engine.maxModelLen: too long")


@dataclass
class FakeHub:
    """Answers with a model of 131 GiB, or fails: for every model, or for those in `absent` with `code`."""

    failure: Exception | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    code: int = 404

    def read(self, repository: str, revision: str = "") -> Checkpoint:
        self.asked.append((repository, revision))
        if self.failure:
            raise self.failure
        if repository in self.absent:
            raise UnreadableError(str(self.code), self.code)
        model = memory.read_config(CONFIG)
        return Checkpoint(model, memory.by_shape(model))


@dataclass
class FakeCluster:
    """Its nodes, or a refusal to list them."""

    nodes: tuple[dict[str, Any], ...] = ()
    refusal: ApiError | None = None
    listed: int = 0

    async def each(self, *_: object) -> AsyncIterator[dict[str, Any]]:
        self.listed += 1
        if self.refusal:
            raise self.refusal
        for node in self.nodes:
            yield node


class Bench:
    """A planner among fakes."""

    def __init__(
        self, hub: FakeHub | None = None, cluster: FakeCluster | None = None, *, permitted: bool = True
    ) -> None:
        self.hub, self.cluster = hub or FakeHub(), cluster or FakeCluster()
        self.woken: list[Key] = []
        self.planner = Planner(cast("Cluster", self.cluster), cast("Hub", self.hub), self.woken.append, permitted)

    async def judge(self, asked: ServiceBuilder, name: str = "mistral") -> Rejection | bool:
        return await self.planner.judge(("ns", name), asked.resolved, asked.raw)

    def planned(self) -> int:
        """Bytes of the weights in the service's plan."""
        planned = self.planner.plans[("ns", "mistral")].weights
        assert planned is not None
        return planned.size

    async def read(self) -> None:
        """Return when all reading has ended."""
        await asyncio.gather(*self.planner._tasks)


def asking(memory_: str | None = "16Gi") -> ServiceBuilder:
    asked = service().model("hf://org/model")
    return asked.spec("placement", minAcceleratorMemory=memory_) if memory_ else asked


def node(gib: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "n", "labels": {"nvidia.com/gpu.memory": str(gib * 1024)}},
        "status": {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


async def test_a_new_service_waits_while_its_model_is_read_and_is_then_judged() -> None:
    bench = Bench()

    assert await bench.judge(asking()) is False
    await bench.read()
    assert bench.woken == [("ns", "mistral")]
    verdict = await bench.judge(asking())

    assert isinstance(verdict, Rejection)
    assert verdict.reason == "DoesNotFit"
    assert bench.planner.plans[("ns", "mistral")].gpu == 16 * 2**30


async def test_a_service_that_was_taken_before_does_not_wait() -> None:
    asked = asking()

    assert await Bench().judge(told(asked, "Accepted", "True")) is True


def told(asked: ServiceBuilder, reason: str, status: str = "False", *more: dict[str, Any]) -> ServiceBuilder:
    """With what its status says of its present spec."""
    generation = asked.raw["metadata"]["generation"]
    accepted = {
        "type": "Accepted", "status": status, "reason": reason, "message": REFUSED.message, "observedGeneration": generation,
    }  # fmt: skip
    return asked.with_status({"observedGeneration": generation, "conditions": [accepted, *more]})


async def test_what_was_refused_is_not_started_by_a_restart() -> None:
    """Another operator has read nothing yet: it waits, however long that takes, and refuses again."""
    bench = Bench()
    moment = [NOW]
    bench.planner.now = lambda: moment[0]

    assert await bench.judge(told(asking(), "DoesNotFit")) == REFUSED
    moment[0] += PATIENCE
    assert await bench.judge(told(asking(), "DoesNotFit")) == REFUSED
    await bench.read()

    verdict = await bench.judge(told(asking(), "DoesNotFit"))
    assert isinstance(verdict, Rejection)
    assert "GiB" in verdict.message


@pytest.mark.parametrize(
    ("failure", "goes_on"),
    [
        pytest.param(UnreadableError("timed out"), False, id="the hub does not answer"),
        pytest.param(UnreadableError("busy", 503), False, id="the hub is in trouble"),
        pytest.param(UnreadableError("404", 404), True, id="the hub shows it no more"),
    ],
)
async def test_what_was_refused_stays_so_until_it_can_be_planned_anew(failure: Exception, goes_on: bool) -> None:  # noqa: FBT001
    bench = Bench(FakeHub(failure))
    asked = told(asking(), "DoesNotFit")
    await bench.judge(asked)
    await bench.read()

    assert await bench.judge(asked) == (True if goes_on else REFUSED)
    asked.raw["metadata"]["annotations"] = {"fairlead.dev/skip-plan": "true"}
    assert await bench.judge(asked) is True
    assert await bench.judge(told(asking(), "NameTaken")) is True, "it was refused for something else"


@pytest.mark.parametrize("code", [403, 0])
async def test_where_nodes_may_not_be_listed_any_more_nothing_is_refused_by_them(code: int) -> None:
    cluster = FakeCluster(refusal=ApiError(code, "", "no"))
    bench = Bench(cluster=cluster, permitted=code != 0)

    assert await bench.judge(told(asking(None), "DoesNotFit")) is True


async def test_nodes_that_cannot_be_listed_once_start_nothing_that_was_refused() -> None:
    bench = Bench(cluster=FakeCluster((node(16),)))
    asked = told(asking(None), "DoesNotFit")
    await bench.judge(asked)
    await bench.read()
    verdict = await bench.judge(asked)
    assert isinstance(verdict, Rejection)

    bench.cluster.refusal = ApiError(0, "", "no answer")
    bench.planner._until = None
    assert await bench.judge(asked) == verdict, "the nodes that were seen last"

    unlisted = Bench(cluster=FakeCluster(refusal=ApiError(503, "", "busy")))
    assert await unlisted.judge(asked) == REFUSED
    assert await unlisted.judge(asking(None)) is True


async def test_who_comes_while_nodes_are_being_listed_waits_for_them() -> None:
    bench = Bench(cluster=FakeCluster((node(16),)))
    listing = asyncio.Event()

    async def each(*_: object) -> AsyncIterator[dict[str, Any]]:
        await listing.wait()
        yield node(16)

    bench.cluster.each = each  # type: ignore[method-assign]
    judged = [asyncio.create_task(bench.judge(asking(None), name)) for name in "ab"]
    await asyncio.sleep(0)
    listing.set()

    assert await asyncio.gather(*judged) == [False, False], "both have a model to be read for that node"
    await bench.read()


async def test_nobody_waits_while_nodes_that_are_known_are_listed_again() -> None:
    bench = Bench(cluster=FakeCluster((node(16),)))
    await bench.judge(asking(None))
    await bench.read()
    bench.planner._until = NOW
    async with bench.planner._listing:
        assert isinstance(await bench.judge(asking(None)), Rejection)


async def test_a_service_that_could_not_be_written_waits_like_a_new_one() -> None:
    """Its spec is accepted, and yet it may have no pod."""
    asked = asking()
    refused = {"type": "UpToDate", "status": "False", "reason": "WriteFailed"}

    assert await Bench().judge(told(asked, "Accepted", "True", refused)) is False


async def test_services_of_one_model_read_it_once_and_are_all_woken() -> None:
    bench = Bench()

    for name in "abc":
        await bench.judge(asking(), name)
    await bench.read()
    for name in "abc":
        await bench.judge(asking(), name)

    assert bench.hub.asked == [("org/model", "")]
    assert {name for _, name in bench.woken} == set("abc")


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(UnreadableError("404", 404), id="the hub does not show it"),
        pytest.param(RuntimeError("a bug"), id="something nobody thought of"),
    ],
)
async def test_what_cannot_be_read_is_not_asked_for_again_and_stops_nothing(failure: Exception) -> None:
    bench = Bench(FakeHub(failure))

    await bench.judge(asking())
    await bench.read()

    assert [await bench.judge(asking()) for _ in range(3)] == [True, True, True]
    assert len(bench.hub.asked) == 1
    assert bench.planner.plans == {}


async def test_where_no_accelerator_is_known_the_hub_is_not_asked() -> None:
    bench = Bench()

    assert await bench.judge(asking(None)) is True
    assert bench.hub.asked == []


async def test_nodes_are_listed_once_for_all() -> None:
    bench = Bench(cluster=FakeCluster((node(320),)))

    await bench.judge(asking(None), "a")
    await bench.read()
    assert await bench.judge(asking(None), "a") is True
    assert await bench.judge(asking(None), "b") is True

    assert bench.cluster.listed == 1
    assert bench.planner.plans[("ns", "b")].gpu == 320 * 2**30


@pytest.mark.parametrize(
    ("cluster", "permitted"),
    [
        pytest.param(
            FakeCluster(refusal=ApiError(403, "Forbidden", "no")), True, id="nodes may not be listed after all"
        ),
        pytest.param(FakeCluster((node(320),)), False, id="nodes are not to be listed"),
    ],
)
async def test_without_nodes_the_least_memory_counts(cluster: FakeCluster, permitted: bool) -> None:  # noqa: FBT001
    bench = Bench(cluster=cluster, permitted=permitted)

    await bench.judge(asking())
    await bench.read()

    assert isinstance(await bench.judge(asking()), Rejection)


async def test_a_service_that_is_gone_leaves_nothing() -> None:
    bench = Bench()
    await bench.judge(asking())
    await bench.read()
    await bench.judge(asking())

    bench.planner.forget(("ns", "mistral"))

    assert bench.planner.plans == {}


async def test_nobody_waits_for_a_hub_that_does_not_answer() -> None:
    bench = Bench(FakeHub(UnreadableError("timed out")))

    await bench.judge(asking(), "a")
    await bench.read()
    other = service().model("hf://org/other").spec("placement", minAcceleratorMemory="16Gi")

    assert await bench.judge(other, "b") is True
    assert bench.hub.asked == [("org/model", "")]


async def test_a_new_service_waits_for_seconds_only() -> None:
    bench = Bench()
    bench.planner.now = lambda: moment[0]
    moment = [NOW]
    for _ in range(AT_ONCE):
        await bench.planner._slots.acquire()

    assert await bench.judge(asking()) is False
    moment[0] += PATIENCE
    assert await bench.judge(asking()) is True

    for _ in range(AT_ONCE):
        bench.planner._slots.release()
    await bench.read()


def guessing(method: str = "draft_model", model: str = "hf://org/draft") -> ServiceBuilder:
    """On 16 GiB, with a second model that guesses tokens; medusa's heads are none that a plan can count."""
    return asking().spec("engine", speculative={"method": method, "tokens": 3, "model": model})


async def weights(bench: Bench, asked: ServiceBuilder) -> int:
    """Of the plan; the service goes on with it, though the first model alone does not fit: what guesses is not computed in full."""
    assert await bench.judge(asked) is False
    await bench.read()
    assert await bench.judge(asked) is True
    return bench.planned()


async def test_a_second_model_that_guesses_is_counted_and_read_once() -> None:
    bench = Bench()
    alone = await weights(Bench(), guessing("medusa"))

    assert await weights(bench, guessing()) == 2 * alone
    for name in "ab":
        assert await bench.judge(guessing(), name) is True

    assert sorted(bench.hub.asked) == [("org/draft", ""), ("org/model", "")]


async def test_one_that_is_the_model_itself_is_not_read_again() -> None:
    bench = Bench()

    await weights(bench, guessing(model="hf://org/model"))

    assert bench.hub.asked == [("org/model", "")]


async def test_what_no_plan_can_count_is_not_read() -> None:
    bench = Bench()

    await weights(bench, guessing("medusa"))

    assert bench.hub.asked == [("org/model", "")]


async def test_without_the_second_model_the_first_is_planned_alone() -> None:
    bench = Bench(FakeHub(absent=("org/draft",)))

    assert await weights(bench, guessing()) == await weights(Bench(), guessing("medusa"))
    assert await bench.judge(guessing()) is True
    assert len(bench.hub.asked) == 2, "that it cannot be read is kept too"


@pytest.mark.parametrize(
    ("code", "again"),
    [
        pytest.param(429, True, id="too many requests"),
        pytest.param(503, True, id="the hub's own trouble"),
        pytest.param(0, True, id="no answer"),
        pytest.param(401, False, id="credentials are asked for"),
        pytest.param(403, False, id="it is not for everybody"),
        pytest.param(404, False, id="it is not there"),
        pytest.param(200, False, id="what is shown is of no use"),
    ],
)
async def test_a_second_model_whose_reading_failed_by_chance_is_read_again(code: int, again: bool) -> None:  # noqa: FBT001
    bench = Bench(FakeHub(absent=("org/draft",), code=code))
    moment = [NOW]
    bench.planner.now = lambda: moment[0]
    alone = await weights(bench, guessing())
    bench.hub.absent = ()

    for after in (SILENT - timedelta(seconds=1), SILENT):
        moment[0] = NOW + after
        assert await bench.judge(guessing()) is True
        assert bench.planned() == alone, "nobody waits, and the plan stays until it is read"
        assert len(bench.planner._tasks) == (again and after == SILENT)
    await bench.read()

    assert await bench.judge(guessing()) is True
    assert bench.planned() == (2 if again else 1) * alone
    assert bench.hub.asked.count(("org/draft", "")) == (2 if again else 1)
    assert bench.hub.asked.count(("org/model", "")) == 1


async def test_a_second_model_is_waited_for_when_the_first_is_known() -> None:
    bench = Bench()
    await bench.judge(asking())
    await bench.read()

    assert await bench.judge(guessing()) is False
    await bench.read()

    assert await bench.judge(guessing()) is True
    assert bench.woken == [("ns", "mistral")] * 2


async def test_a_hub_that_fell_silent_leaves_the_model_that_is_known() -> None:
    bench = Bench()
    await bench.judge(asking())
    await bench.read()
    bench.hub.failure = UnreadableError("timed out")
    await bench.judge(service().model("hf://org/other").spec("placement", minAcceleratorMemory="16Gi"), "other")
    await bench.read()

    assert await bench.judge(guessing()) is True
    assert ("ns", "mistral") in bench.planner.plans
    assert ("org/draft", "") not in bench.hub.asked
