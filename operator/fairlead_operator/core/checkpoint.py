"""What is known of a model before it is loaded."""

from typing import NamedTuple

from fairlead_runtime.memory import ModelConfig, Weights


class Checkpoint(NamedTuple):
    """A model as far as memory goes. weights: None where nothing tells their size."""

    model: ModelConfig
    weights: Weights | None
