"""The KV cache as vLLM lays it out: layers in groups that share blocks, and what a request takes of them.

Follows v1/core/kv_cache_utils.py of vLLM 0.32 step by step; tests/engine compares every figure with it. A group is a set of layers with
one block table; a block is as large as the group with the largest pages needs; each request takes blocks of every group.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["full", "latent", "window", "chunk", "state"]


class Spec(NamedTuple):
    """What one cache of one layer needs. block_size: tokens. page: bytes of one block of this layer. limit: the window's or the chunk's
    tokens, or the blocks that a state takes of each request.
    """

    kind: Kind
    block_size: int
    page: int
    limit: int = 0

    def blocks(self, length: int, in_flight: int) -> int:
        """Of a request of `length` tokens. in_flight: tokens that are scheduled and not settled, whose blocks are not yet freed."""
        match self.kind:
            case "full" | "latent":
                return math.ceil(length / self.block_size)
            case "window":
                # One more: the window need not begin where a block does.
                return math.ceil(min(self.limit - 1 + in_flight, length) / self.block_size) + 1
            case "chunk":
                return math.ceil(min(self.limit + in_flight, length) / self.block_size)
            case "state":
                return self.limit


class Layer(NamedTuple):
    """A cache and the pipeline stage that has it."""

    spec: Spec
    stage: int = 0


class Group(NamedTuple):
    """Layers that share the numbers of their blocks."""

    layers: tuple[Layer, ...]

    def blocks(self, length: int, in_flight: int) -> int:
        return max(layer.spec.blocks(length, in_flight) for layer in self.layers)


class KVCache(NamedTuple):
    """Of one model on one engine. in_flight: see Spec.blocks."""

    groups: tuple[Group, ...]
    stages: int
    in_flight: int

    def bytes_per_block(self, stage: int) -> int:
        return max(
            (sum(layer.spec.page for layer in group.layers if layer.stage == stage) for group in self.groups), default=0
        )

    def blocks(self, available: Sequence[int]) -> int:
        """available: bytes for the cache on a GPU of each stage."""
        return min(
            (room // size for stage, room in enumerate(available) if (size := self.bytes_per_block(stage))), default=1
        )

    def blocks_per_request(self, length: int) -> int:
        return sum(group.blocks(length, self.in_flight) for group in self.groups)

    def bytes_per_request(self, length: int, stage: int = 0) -> int:
        return self.blocks_per_request(length) * self.bytes_per_block(stage)

    def fits(self, length: int, available: Sequence[int]) -> bool:
        """Whether one request of `length` tokens fits; one block is the engine's own."""
        return all(
            self.bytes_per_request(length, stage) + self.bytes_per_block(stage) <= room
            for stage, room in enumerate(available)
        )

    def longest(self, most: int, available: Sequence[int]) -> int:
        """The longest request up to `most` that fits; 0 where none does."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits(middle, available) else (low, middle - 1)
        return low

    @property
    def doubtful_blocks(self) -> int:
        """That the releases of the engine do not all ask for: one that it keeps for itself, and one for each group of states."""
        return 1 + sum(any(layer.spec.kind == "state" for layer in group.layers) for group in self.groups)

    def concurrency(self, length: int, blocks: int) -> float:
        needed = self.blocks_per_request(length)
        return blocks / needed if needed else 0.0

    def bytes_per_token(self, stage: int = 0) -> int:
        """In all layers of a stage whose cache grows, windows as if they kept everything. Rounded up."""
        grows = [layer.spec for group in self.groups for layer in group.layers if layer.stage == stage]
        return sum(math.ceil(spec.page / spec.block_size) for spec in grows if spec.kind != "state")


def grouped(layers: Sequence[Layer], *, hybrid_manager: bool) -> tuple[Group, ...]:
    """hybrid_manager: whether windows save memory beside full attention; without it they take as much as the others."""
    if not layers:
        return ()
    if not hybrid_manager:
        layers = _promoted(layers)
    if _uniform([layer.spec for layer in layers]):
        return (Group(tuple(layers)),)
    return _split(_one_page_size(layers))


def _promoted(layers: Sequence[Layer]) -> Sequence[Layer]:
    if not any(layer.spec.kind in {"full", "latent"} for layer in layers):
        return layers
    return [
        layer._replace(spec=layer.spec._replace(kind="full", limit=0))
        if layer.spec.kind in {"window", "chunk"}
        else layer
        for layer in layers
    ]


def _uniform(specs: Sequence[Spec]) -> bool:
    """Whether all need the same number of tokens' slots: then one group has them all, though their pages may differ."""
    first = specs[0]
    if any(spec.block_size != first.block_size for spec in specs):
        return False
    if all(spec.kind in {"full", "latent"} for spec in specs):
        return True
    same = all((spec.kind, spec.limit) == (first.kind, first.limit) for spec in specs)
    return same and (first.kind == "window" or all(spec.page == first.page for spec in specs))


def _one_page_size(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Smaller pages get more tokens where that fits evenly, else they are padded."""
    largest = max(layer.spec.page for layer in layers)

    def enlarged(spec: Spec) -> Spec:
        if spec.page == largest or spec.kind == "state" or largest % spec.page:
            return spec._replace(page=largest)
        return spec._replace(page=largest, block_size=spec.block_size * (largest // spec.page))

    return [layer._replace(spec=enlarged(layer.spec)) for layer in layers]


def _split(layers: Sequence[Layer]) -> tuple[Group, ...]:
    """Layers of one kind share groups of one size: the rarest kind's number of layers, or the commonest's where they are about equal."""
    kinds: dict[Spec, list[Layer]] = {}
    for layer in layers:
        kinds.setdefault(layer.spec, []).append(layer)
    counts = [len(found) for found in kinds.values()]
    size = max(counts) if max(counts) < 1.5 * min(counts) else min(counts)
    groups: list[Group] = []
    for found in kinds.values():
        number = math.ceil(len(found) / size)
        # Every n-th to a group, so that each stage of a pipeline has its share of every group.
        groups += [Group(tuple(found[place::number])) for place in range(number)]
    return tuple(groups)
