"""What is known of a model before it is loaded."""

from dataclasses import dataclass

from fairlead_runtime.memory import ModelConfig, Weights


@dataclass(frozen=True)
class Checkpoint:
    """A model as far as memory goes. weights: None where nothing tells their size."""

    model: ModelConfig
    weights: Weights | None
