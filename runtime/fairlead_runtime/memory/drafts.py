"""The second model that guesses tokens: what of it the engine keeps beside the first."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.parameters import Role
from fairlead_runtime.memory.quantization import DTYPE_BITS
from fairlead_runtime.memory.weights import Portion, Weights

#: Methods whose second model has a KV cache as its config.json says -> hidden vectors that are joined into one by a matrix of its own
#: before its first layer: EAGLE's token and state, EAGLE-3's states of three layers. 0: a model like any other.
METHODS: Final[Mapping[str, int]] = {"draft_model": 0, "eagle": 2, "eagle3": 3}


class Draft(NamedTuple):
    """weights: its own, without those that it shares with the first model; None: not known. head: it works on the first one's states.
    embedding: what it shares only with a first model that is as wide.
    """

    model: ModelConfig
    weights: Weights | None
    head: bool = False
    embedding: tuple[Portion, ...] = ()

    def beside(self, first: ModelConfig) -> Weights | None:
        """What the engine keeps of it beside that one."""
        if self.weights is None or self.model.hidden == first.hidden:
            return self.weights
        return Weights((*self.weights.portions, *self.embedding), self.weights.source)


def draft(method: str, model: ModelConfig, weights: Weights | None, pipeline: int = 1) -> Draft:
    """method: one of METHODS. weights: as its files or its shapes have them. pipeline: stages of the first model."""
    joined = METHODS[method]
    if weights is None or not joined or weights.source == "index":
        # An index has the sum of all files alone, which cannot be taken apart by the shapes of a common model.
        return Draft(model, weights, bool(joined))
    told = weights.source != "shape"
    own = [part for part in weights.portions if _own(part.role, pipeline, output=told and method == "eagle3")]
    embedding = () if pipeline > 1 else tuple(part for part in weights.portions if part.role is Role.EMBEDDING)
    if not told:
        own += _beside_the_layers(method, model, joined)
    return Draft(model, Weights(tuple(own), weights.source), head=True, embedding=embedding)


def _own(role: Role, pipeline: int, *, output: bool) -> bool:
    """Whether an EAGLE head keeps it: in a pipeline no embedding is shared, since the first model's may be on another stage."""
    match role:
        case Role.EMBEDDING:
            return pipeline > 1
        case Role.OUTPUT:
            return output
        case _:
            return True


def _beside_the_layers(method: str, model: ModelConfig, joined: int) -> list[Portion]:
    """What a head has more than a model of its shape."""
    width = DTYPE_BITS[model.dtype]

    def portion(role: Role, layer: int, elements: int) -> Portion:
        size = elements * width // 8
        return Portion(role, layer, size, size)

    found = [portion(Role.WHOLE, -1, joined * model.hidden * model.hidden)]
    if method == "eagle3":
        # Queries, keys and values of the first layer see the token beside the state.
        found.append(portion(Role.LINEAR, 0, model.hidden * model.heads * model.head_size))
        found.append(portion(Role.KEY_VALUE, 0, 2 * model.hidden * model.kv_heads * model.head_size))
        # An output of its own, where it guesses among some of the tokens.
        found.append(portion(Role.OUTPUT, -1, model.draft_vocabulary * model.hidden))
    return found
