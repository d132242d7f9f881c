"""What one GPU of a replica holds: heads, layers and weights of tensor, pipeline and expert parallelism."""

from collections.abc import Sequence
from typing import NamedTuple

from fairlead_runtime.memory.parameters import Role
from fairlead_runtime.memory.types import EngineSettings
from fairlead_runtime.memory.weights import Portion, Weights


def local_heads(kv_heads: int, tensor: int) -> int:
    """Heads of keys and values on each GPU: where there are more GPUs than heads each has one, and heads are repeated."""
    return max(1, kv_heads // tensor)


def stages(layers: int, pipeline: int) -> tuple[range, ...]:
    """The layers of each stage, as vLLM's get_pp_indices: what is left over goes to the later ones, but not to the last."""
    sizes = [layers // pipeline] * pipeline
    for place in range(2, layers % pipeline + 2):
        sizes[-place] += 1
    starts = [sum(sizes[:stage]) for stage in range(pipeline)]
    return tuple(range(start, start + size) for start, size in zip(starts, sizes, strict=True))


class Kept(NamedTuple):
    """What becomes of unquantized weights at load. stored: bits of one in the checkpoint. bits: of one in the engine's dtype. matrix: of
    one in a matrix of a layer, where the engine quantizes.
    """

    stored: int
    bits: int
    matrix: float

    def size(self, part: Portion) -> float:
        quantized = part.layer >= 0 and part.role is not Role.WHOLE
        return part.size + part.plain * ((self.matrix if quantized else self.bits) / self.stored - 1)


def weights_of_stage(
    weights: Weights, settings: EngineSettings, kv_heads: int, place: tuple[int, Sequence[int]], kept: Kept
) -> int:
    """Bytes on one GPU. place: its stage, and the layers of that."""
    stage, layers = place
    first, last = stage == 0, stage == settings.pipeline - 1
    tied = not any(part.role is Role.OUTPUT for part in weights.portions)
    total = 0.0
    for part in weights.portions:
        size = kept.size(part) * _share(part.role, settings, kv_heads)
        if part.role is Role.OUTPUT:
            total += size * last
        elif part.role is Role.EMBEDDING:
            total += size * (first or (last and tied))
        elif part.layer < 0:
            total += size * first
        elif part.layer in layers:
            total += size
    return round(total)


def _share(role: Role, settings: EngineSettings, kv_heads: int) -> float:
    match role:
        case Role.WHOLE:
            return 1.0
        case Role.KEY_VALUE if kv_heads:
            return min(1.0, local_heads(kv_heads, settings.tensor) / kv_heads)
        case Role.EXPERT:
            # Experts are spread over the ranks of data parallelism too, whole ones or slices of each.
            return 1.0 / (settings.tensor * settings.data)
        case _:
            return 1.0 / settings.tensor
