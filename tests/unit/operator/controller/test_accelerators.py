"""Nodes and pods are listed only when a pod lacks accelerators, once for all services, and never where that is forbidden."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead_operator.controller.accelerators import CACHED, REFUSED, AcceleratorCount
from fairlead_operator.controller.kinds import ALL_PODS, NODES, Kind
from fairlead_operator.controller.outcomes import ApiError
from unit.operator.builders import ready, service, unscheduled

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GPU = "nvidia.com/gpu"
SHORT = (unscheduled("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.").of(service()),)


class Server:
    """Stands in for Cluster: one node with eight, five of them taken."""

    def __init__(self) -> None:
        self.listings: list[str] = []
        self.refuses: ApiError | None = None

    async def each(self, kind: Kind, namespace: str | None, **query: str) -> AsyncIterator[dict[str, Any]]:
        assert namespace is None
        self.listings.append(kind.plural)
        if self.refuses:
            raise self.refuses
        if kind is NODES:
            status = {"allocatable": {GPU: "8"}, "conditions": [{"type": "Ready", "status": "True"}]}
            yield {"metadata": {"name": "a"}, "spec": {}, "status": status}
        if kind is ALL_PODS:
            assert query == {"fieldSelector": "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"}
            for count in (2, 3):
                yield {"spec": {"nodeName": "a", "containers": [{"resources": {"limits": {GPU: str(count)}}}]}}


@pytest.fixture
def server() -> Server:
    return Server()


async def test_free_ones_are_counted(server: Server) -> None:
    counting = AcceleratorCount(server, now=lambda: NOON)  # type: ignore[arg-type]

    found, again = await counting.of(SHORT)

    assert found is not None
    assert (found.free, found.total, found.where) == (3, 8, (("a", 3),))
    assert again == NOON + CACHED


async def test_nothing_is_listed_while_no_pod_lacks_any(server: Server) -> None:
    counting = AcceleratorCount(server, now=lambda: NOON)  # type: ignore[arg-type]

    assert await counting.of((ready().of(service()), unscheduled("1 Insufficient cpu.").of(service()))) == (None, None)
    assert server.listings == []


async def test_one_listing_serves_everybody_for_a_while(server: Server) -> None:
    time = [NOON]
    counting = AcceleratorCount(server, now=lambda: time[0])  # type: ignore[arg-type]

    for _ in range(3):
        await counting.of(SHORT)
    assert server.listings == ["nodes", "pods"]

    time[0] += CACHED
    await counting.of(SHORT)
    assert len(server.listings) == 4


async def test_a_cluster_that_takes_long_to_list_is_listed_less_often(server: Server) -> None:
    moments = iter([NOON, NOON, NOON + timedelta(seconds=6), NOON + timedelta(seconds=6)])
    counting = AcceleratorCount(server, now=lambda: next(moments))  # type: ignore[arg-type]
    counting._until = NOON

    _, again = await counting.of(SHORT)

    assert again == NOON + timedelta(seconds=6) + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("code", "rest"),
    [pytest.param(403, REFUSED, id="forbidden"), pytest.param(500, CACHED, id="trouble of the API server")],
)
async def test_a_refused_listing_is_not_tried_again_at_once(server: Server, code: int, rest: timedelta) -> None:
    time = [NOON]
    counting = AcceleratorCount(server, now=lambda: time[0])  # type: ignore[arg-type]
    server.refuses = ApiError(code, "Forbidden", "no")

    assert await counting.of(SHORT) == (None, None)
    time[0] += rest - timedelta(seconds=1)
    assert await counting.of(SHORT) == (None, None)
    assert server.listings == ["nodes"]

    server.refuses, time[0] = None, NOON + rest
    assert (await counting.of(SHORT))[0] is not None


async def test_an_operator_of_named_namespaces_does_not_ask(server: Server) -> None:
    counting = AcceleratorCount(server, permitted=False, now=lambda: NOON)  # type: ignore[arg-type]

    assert await counting.of(SHORT) == (None, None)
    assert server.listings == []
