"""Profiles: named sets of engine settings. What each of them sets, and what that trades, is one table. Standard library only.

A profile speaks only where the spec is silent: a field of spec.engine wins over it, and so does an argument in extraArgs.
docs/profiles.md is made from this table, and has the measurements behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from fairlead_runtime import flags

#: Where a user chooses one.
FIELD: Final = "spec.engine.profile"


class Profile(StrEnum):
    """What the engine is tuned for."""

    BALANCED = "Balanced"
    LATENCY = "Latency"
    LATENCY_FP8 = "LatencyFP8"
    THROUGHPUT = "Throughput"
    THROUGHPUT_FP8 = "ThroughputFP8"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one profile sets.

    trades: a sentence, what is gained for what. fields: of spec.engine, by the names that the RuntimeConfig gives them. flags:
    vLLM's arguments that no field sets; all of them exist from 0.26 to 0.33.
    """

    trades: str
    fields: Mapping[str, str | int] = field(default_factory=dict)
    flags: Mapping[str, str | int] = field(default_factory=dict)


PROFILES: Final[Mapping[Profile, Settings]] = {
    Profile.BALANCED: Settings(
        "The engine's own defaults: every token is sent as soon as it is there, and as many requests run as the accelerator's"
        " memory suggests."
    ),
    Profile.LATENCY: Settings(
        "For few requests at a time: CUDA graphs for every batch size up to 32, so that none is padded to the next larger graph;"
        " capturing them makes the start some seconds longer and takes a little of the KV cache's memory.",
        flags={"--performance-mode": "interactivity"},
    ),
    Profile.LATENCY_FP8: Settings(
        "Latency with weights in fp8, quantized at load: a token of a small batch costs reading all weights, and these are half as"
        " large; it costs some accuracy.",
        fields={"quantization": "fp8"},
        flags={"--performance-mode": "interactivity"},
    ),
    Profile.THROUGHPUT: Settings(
        "For many requests at a time where sending limits and not the accelerator, as with small models and slow processor cores: a"
        " stream carries eight tokens in an event instead of one; after the first token a reader sees text in steps of eight tokens."
        " Where the accelerator limits, as a 7B model in bfloat16 does an H200, it is as fast as Balanced.",
        flags={"--stream-interval": 8},
    ),
    Profile.THROUGHPUT_FP8: Settings(
        "Throughput with weights and KV cache in fp8, and up to 512 requests at a time; it costs some accuracy, and each request"
        " becomes slower the more of them run.",
        fields={"quantization": "fp8", "kvCacheDtype": "fp8", "maxNumSeqs": 512},
        flags={"--stream-interval": 8},
    ),
}
#: The profiles that quantize: the CPU engine has no kernels for fp8 weights.
FP8: Final = tuple(profile for profile, settings in PROFILES.items() if "quantization" in settings.fields)
#: All flags of the table.
FLAGS: Final = tuple(dict.fromkeys(flag for settings in PROFILES.values() for flag in settings.flags))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a profile decides in one service: what the spec left open. profile: its name, "" where none is set."""

    profile: str = ""
    fields: Mapping[str, str | int] = field(default_factory=dict)
    flags: Mapping[str, str | int] = field(default_factory=dict)


def chosen(engine: Mapping[str, Any]) -> Chosen:
    """engine: the RuntimeConfig's engine section, by the names it has in JSON. A profile that is not known decides nothing."""
    name = str(engine.get("profile") or "")
    if name not in PROFILES:
        return Chosen()
    settings, written = PROFILES[Profile(name)], engine.get("extraArgs") or ()

    def open_to(flag: str) -> bool:
        return not any(flags.sets(argument, flag) for argument in written)

    return Chosen(
        profile=name,
        fields={
            field: value
            for field, value in settings.fields.items()
            if engine.get(field) is None and all(open_to(flag) for flag in flags.flags_of(f"spec.engine.{field}"))
        },
        flags={flag: value for flag, value in settings.flags.items() if open_to(flag)},
    )
