"""How many bits a weight takes: quantization_config of config.json, or the method that the engine quantizes with at load."""

from collections.abc import Callable
from typing import NamedTuple

from fairlead_runtime.memory.reading import Keys

#: Bits of one element.
DTYPE_BITS = {"float32": 32, "float": 32, "bfloat16": 16, "float16": 16, "half": 16}


class Quantization(NamedTuple):
    """method: vLLM's name. bits: of one weight of a quantized matrix, scales and zero points included; None where it is not known.
    only_experts: whether attention and shared matrices stay as they are. kv_cache_bits: where the checkpoint decides it.
    """

    method: str
    bits: float | None
    only_experts: bool = False
    kv_cache_bits: int | None = None


def read(top: Keys) -> Quantization | None:
    """top: the keys of config.json, or of its text_config. Raises ConfigError."""
    section = top.section("quantization_config") or top.section("compression_config")
    if section is None:
        return None
    method = (section.text("quant_method") or "").lower().replace("compressed_tensors", "compressed-tensors")
    if not method and section.has("quantization"):
        method = "modelopt"
    reader = _READERS.get(method)
    return reader(section) if reader else Quantization(method or "unnamed", None)


def at_load(method: str) -> Quantization | None:
    """The engine quantizes an unquantized checkpoint: fp8 and its shorthands; None for what it is not known of."""
    if method in {"fp8", "fp8_per_tensor", "fp8_per_block", "ptpc_fp8"}:
        return Quantization(method, 8.0)
    if method == "bitsandbytes":
        return Quantization(method, 4.5)
    if method == "int8_per_channel_weight_only":
        return Quantization(method, 8.0)
    return None


def _integers(section: Keys, method: str) -> Quantization:
    """AWQ and GPTQ: integers, and for each group of a column a 16-bit scale and a zero point of the same bits."""
    bits = section.whole("bits", "w_bit", most=16)
    group = section.whole("group_size", "q_group_size", least=-1)
    if bits is None:
        return Quantization(method, None)
    return Quantization(method, bits + ((16 + bits) / group if group and group > 0 else 0.0))


def _fp8(section: Keys) -> Quantization:
    """A scale of 32 bits for each block, or one for a whole matrix."""
    block = section.wholes("weight_block_size")
    area = block[0] * block[1] if block and len(block) == 2 and min(block) > 0 else 0
    return Quantization("fp8", 8 + (32 / area if area else 0.0))


def _bitsandbytes(section: Keys) -> Quantization:
    if section.flag("load_in_8bit") or section.flag("_load_in_8bit"):
        return Quantization("bitsandbytes", 8.0)
    return Quantization("bitsandbytes", 4.5)  # a 32-bit scale for 64 weights


def _compressed_tensors(section: Keys) -> Quantization:
    """The first group's weights: num_bits, and a 16-bit scale for each of group_size (nvfp4: 8 bits for 16)."""
    bits: float | None = None
    groups = section.section("config_groups")
    for name in groups.values if groups else ():
        group = groups.section(name) if groups else None
        weights = group.section("weights") if group else None
        if weights is None:
            continue
        width = weights.whole("num_bits", most=16)
        size = weights.whole("group_size", least=-1)
        scale = 8 if weights.text("type") == "float" and width == 4 else 16
        bits = None if width is None else width + (scale / size if size and size > 0 else 0.0)
        break
    cache = section.section("kv_cache_scheme")
    return Quantization("compressed-tensors", bits, kv_cache_bits=cache.whole("num_bits", most=16) if cache else None)


def _modelopt(section: Keys) -> Quantization:
    inner = section.section("quantization") or section
    algorithm = (inner.text("quant_algo") or "").upper()
    bits = {"FP8": 8.0, "FP8_PER_CHANNEL_PER_TOKEN": 8.0, "FP8_PB_WO": 8.0, "NVFP4": 4.5}.get(algorithm)
    cache = inner.text("kv_cache_quant_algo")
    return Quantization("modelopt", bits, kv_cache_bits=8 if (cache or "").upper() == "FP8" else None)


_READERS: dict[str, Callable[[Keys], Quantization]] = {
    "awq": lambda section: _integers(section, "awq"),
    "gptq": lambda section: _integers(section, "gptq"),
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "compressed-tensors": _compressed_tensors,
    "bitsandbytes": _bitsandbytes,
    # A 8-bit scale for 32 weights, and only the experts of GPT-OSS.
    "mxfp4": lambda _: Quantization("mxfp4", 4.25, only_experts=True),
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
}
