"""Weights and KV cache of a model on a GPU, computed before one is taken. Pure: standard library only.

    model = memory.read_config(json.loads(text))
    weights = memory.in_folder(folder, model) or memory.by_shape(model)
    found = memory.plan(model, weights, memory.EngineSettings(max_model_len=4096), memory.usable_bytes("H200"))

Everything that can be wrong with what was read is a ConfigError that names the key; what is not known is in Plan.unknowns. Records
are NamedTuples where these serve: a dataclass takes two milliseconds to define, and `fairlead plan` waits for all of them.
"""

from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.architecture import read as read_config
from fairlead_runtime.memory.drafts import METHODS as DRAFTING
from fairlead_runtime.memory.drafts import Draft, draft
from fairlead_runtime.memory.gpus import GPU, GPUS, gpu_named, usable_bytes
from fairlead_runtime.memory.planning import plan
from fairlead_runtime.memory.reading import ConfigError
from fairlead_runtime.memory.types import GIB, EngineSettings, Estimate, Plan, Unknown, Verdict
from fairlead_runtime.memory.weights import Weights, by_shape, from_headers, from_index, in_folder, read_header
from fairlead_runtime.memory.words import gib

__all__ = [
    "DRAFTING",
    "GIB",
    "GPU",
    "GPUS",
    "ConfigError",
    "Draft",
    "EngineSettings",
    "Estimate",
    "ModelConfig",
    "Plan",
    "Unknown",
    "Verdict",
    "Weights",
    "by_shape",
    "draft",
    "from_headers",
    "from_index",
    "gib",
    "gpu_named",
    "in_folder",
    "plan",
    "read_config",
    "read_header",
    "usable_bytes",
]
