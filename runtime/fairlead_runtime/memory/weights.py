"""What the weights take: from a checkpoint's safetensors headers, from its index, or from the shapes in config.json.

A header is a few kilobytes in front of each file and names every tensor with type and shape; the index has the sum of all files.
"""

import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from fairlead_runtime.memory.architecture import ModelConfig
from fairlead_runtime.memory.parameters import Role
from fairlead_runtime.memory.quantization import DTYPE_BITS
from fairlead_runtime.memory.reading import ConfigError, Keys

Source = Literal["headers", "index", "shape"]
#: A header beyond this is garbage; safetensors itself refuses it.
MOST_HEADER: Final = 100_000_000
MOST_ELEMENTS: Final = 2**62
#: By where they come from: the part of the whole by which the sum may be wrong.
ERRORS: Final[Mapping[Source, float]] = {"headers": 0.005, "index": 0.02, "shape": 0.01}
#: Bits of one element, by safetensors' names.
_BITS: Final = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16, "F8_E4M3": 8,
                "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}  # fmt: skip
_PLAIN: Final = frozenset({"F32", "F16", "BF16"})


class Portion(NamedTuple):
    """Weights of one role in one layer, -1 for outside of all. size: bytes as stored; plain: of them, those of 16-bit elements that a
    quantization at load would make smaller.
    """

    role: Role
    layer: int
    size: int
    plain: int


class Weights(NamedTuple):
    """All of a model, before it is split."""

    portions: tuple[Portion, ...]
    source: Source

    @property
    def size(self) -> int:
        return sum(portion.size for portion in self.portions)


def by_shape(model: ModelConfig) -> Weights | None:
    """None where the bits of a quantized weight are not known."""
    shapes, method = model.parameters, model.quantization
    if shapes is None or (method and method.bits is None):
        return None
    whole = DTYPE_BITS[model.dtype]
    bits = method.bits if method and method.bits is not None else float(whole)
    dense = float(whole) if method and method.only_experts else bits

    def portion(role: Role, layer: int, elements: int, width: float) -> Portion:
        size = round(elements * width / 8)
        return Portion(role, layer, size, size if width == whole else 0)

    found = [portion(Role.EMBEDDING, -1, shapes.embedding, whole)]
    if not shapes.tied:
        found.append(portion(Role.OUTPUT, -1, shapes.embedding, whole))
    if shapes.tower:
        found.append(portion(Role.TOWER, -1, shapes.tower, whole))
    for index, layer in enumerate(shapes.layers):
        found += [
            portion(Role.LINEAR, index, layer.linear, dense),
            portion(Role.KEY_VALUE, index, layer.key_value, dense),
            portion(Role.EXPERT, index, layer.expert, bits),
            portion(Role.WHOLE, index, layer.whole, whole),
        ]
    return Weights(tuple(part for part in found if part.size), "shape")


def from_index(document: object, model: ModelConfig) -> Weights | None:
    """model.safetensors.index.json, parsed: its sum, split as the shapes say. None where it has no sum. Raises ConfigError."""
    metadata = Keys.of(document, "model.safetensors.index.json").section("metadata")
    total = metadata.whole("total_size", most=2**62) if metadata else None
    shapes = by_shape(model)
    if total is None or shapes is None or not shapes.size:
        return None
    share = total / shapes.size
    portions = tuple(
        Portion(part.role, part.layer, round(part.size * share), round(part.plain * share)) for part in shapes.portions
    )
    return Weights(portions, "index")


def from_headers(headers: Iterable[Mapping[str, Any]], model: ModelConfig) -> Weights:
    """headers: of all files, parsed. 32-bit tensors of a 16-bit model become 16 bits; layers beyond the model's own (a draft that is
    stored with it) are not loaded; what several files have under one name is loaded to one place, and the largest counts. Raises
    ConfigError.
    """
    named: dict[str, Portion] = {}
    kept = DTYPE_BITS.get(model.dtype, 16)
    for header in headers:
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            label = name[:200] or "the tensor without a name"
            keys = Keys.of(tensor, label)
            dtype, shape = keys.text("dtype"), keys.wholes("shape")
            if dtype not in _BITS or shape is None or any(size < 0 for size in shape):
                raise ConfigError(
                    label, f"dtype {str(dtype)[:80]!r} and shape {str(shape)[:80]} are none that a tensor has"
                )
            layer = _layer(name)
            role = _role(name, len(shape))
            if layer >= len(model.layers) or (role is Role.OUTPUT and model.tied):
                continue
            elements = 1
            for size in shape:
                elements *= size
            if elements > MOST_ELEMENTS:
                raise ConfigError(label, f"shape {str(shape)[:80]} has more elements than any file holds")
            plain = dtype in _PLAIN and not name.endswith(("_scale", "_scale_inv", "scales", "A_log"))
            bits = min(kept, _BITS[dtype]) if plain else _BITS[dtype]
            stored = elements * bits // 8
            if name not in named or named[name].size < stored:
                named[name] = Portion(role, layer, stored, stored if plain else 0)
    if not named:
        raise ConfigError("safetensors", "no header has a tensor")
    sums: dict[tuple[Role, int], list[int]] = {}
    for part in named.values():
        row = sums.setdefault((part.role, part.layer), [0, 0])
        row[0] += part.size
        row[1] += part.plain
    portions = tuple(Portion(role, layer, size, plain) for (role, layer), (size, plain) in sums.items())
    return Weights(portions, "headers")


def read_header(start: bytes) -> Mapping[str, Any]:
    """The header of a file that begins with `start`. Raises ConfigError, also where `start` ends before the header does."""
    if len(start) < 8:
        raise ConfigError("safetensors", f"a file of {len(start)} bytes has no header")
    (length,) = struct.unpack("<Q", start[:8])
    if length > MOST_HEADER:
        raise ConfigError("safetensors", f"a header of {length:,} bytes is none")
    if len(start) < 8 + length:
        raise ConfigError("safetensors", f"{len(start):,} bytes of a header of {length + 8:,}")
    try:
        document = json.loads(start[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ConfigError("safetensors", f"a header that is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise ConfigError("safetensors", "a header that is no object")
    return document


def in_folder(folder: Path, model: ModelConfig) -> Weights | None:
    """Of the checkpoint in `folder`: only headers are read. None where it has no safetensors. Raises OSError or ConfigError.

    A second copy in Mistral's own format, which the engine does not load beside the first, is left out.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = Keys.of(_json(index), index.name).section("weight_map")
        files: Sequence[Path] = sorted({folder / str(name) for name in (names.values.values() if names else ())})
    else:
        files = sorted(folder.glob("*.safetensors"))
        files = [file for file in files if not file.name.startswith("consolidated")] or files
    return from_headers((_header_of(file) for file in files), model) if files else None


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigError(path.name, f"no JSON ({error})") from error


def _header_of(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        return read_header(start + (file.read(length) if length <= MOST_HEADER else b""))


_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.([0-9]{1,9})\.")
_TOWER = re.compile(r"vision|visual|audio|vit\.|image|multi_modal_projector|mm_projector|multimodal")
_KEY_VALUE = re.compile(r"\.(?:[kv]_proj|k|v|key|value|wk|wv)\.")
_EXPERT = re.compile(r"\.experts\.|\.experts$|\.experts_")
_EMBEDDING = re.compile(
    r"embed_tokens|\bwte\b|word_embeddings|tok_embeddings|\.embeddings\.weight|embed_in|embedding\.weight"
)
_OUTPUT = re.compile(r"lm_head|embed_out|^output\.weight")
_WHOLE = re.compile(r"norm|\.gate\.weight|router|kv_a_proj|q_a_proj|\bln_|bias$")


def _layer(name: str) -> int:
    """-1 outside of the language model's layers."""
    if _TOWER.search(name):
        return -1
    if name.startswith("midlayer."):
        return 0  # the one of an EAGLE-3 head
    found = _LAYER.search(name)
    return int(found.group(1)) if found else -1


def _role(name: str, dimensions: int) -> Role:
    if _TOWER.search(name):
        return Role.TOWER
    if _EXPERT.search(name):
        return Role.EXPERT
    if _OUTPUT.search(name):
        return Role.OUTPUT
    if _layer(name) < 0:
        return Role.EMBEDDING if _EMBEDDING.search(name) else Role.WHOLE
    if dimensions < 2 or _WHOLE.search(name):
        return Role.WHOLE
    return Role.KEY_VALUE if _KEY_VALUE.search(name) else Role.LINEAR
