"""Accelerators by name and their memory. Makers give GB for what is GiB, and firmware keeps a part: `usable` is what drivers report.

Where a figure was not seen on a machine it is the maker's, less the part that error correction and firmware take on its neighbours.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from fairlead_runtime.memory.types import GIB


class GPU(NamedTuple):
    """memory: bytes, by the maker's data sheet. usable: bytes that a program finds. source: where both are from."""

    name: str
    memory: int
    usable: int
    source: str


def _gpu(name: str, gib: float, usable: float, source: str) -> GPU:
    return GPU(name, int(gib * GIB), int(usable * GIB), source)


_SHEET = "data sheet; usable as nvidia-smi reports it"
#: Name, as in NVIDIA's labels without the form factor -> memory. `usable` is rounded down.
GPUS: Final[Mapping[str, GPU]] = {
    gpu.name: gpu
    for gpu in (
        _gpu("T4", 16, 14.5, _SHEET),
        _gpu("V100-16GB", 16, 15.7, _SHEET),
        _gpu("V100-32GB", 32, 31.7, _SHEET),
        _gpu("A10", 24, 22.0, _SHEET),
        _gpu("A10G", 24, 22.0, _SHEET),
        _gpu("A30", 24, 23.6, _SHEET),
        _gpu("A40", 48, 44.4, _SHEET),
        _gpu("A100-40GB", 40, 39.3, _SHEET),
        _gpu("A100-80GB", 80, 79.1, _SHEET),
        _gpu("L4", 24, 22.0, _SHEET),
        _gpu("L40", 48, 44.4, _SHEET),
        _gpu("L40S", 48, 44.4, _SHEET),
        _gpu("RTX4090", 24, 23.5, _SHEET),
        _gpu("H100", 80, 79.1, _SHEET),
        _gpu("H100-NVL", 94, 93.1, _SHEET),
        _gpu("H200", 141, 139.8, "measured: what torch reports"),
        _gpu("B200", 180, 178.3, _SHEET),
    )
}
_SIZE = re.compile(r"^(\d{1,7}(?:\.\d{1,3})?)\s?(GiB|GB|Gi|G|MiB|Mi|MB|M)$", re.IGNORECASE)
_UNITS = {"gib": GIB, "gi": GIB, "mib": 1024**2, "mi": 1024**2, "gb": 10**9, "g": 10**9, "mb": 10**6, "m": 10**6}


def usable_bytes(text: str) -> int | None:
    """A name of the table, in any case and with NVIDIA's prefix and suffixes, or a size such as 80GiB; None for neither."""
    if size := _SIZE.match(text.strip()):
        return int(float(size.group(1)) * _UNITS[size.group(2).lower()])
    gpu = gpu_named(text)
    return gpu.usable if gpu else None


def gpu_named(text: str) -> GPU | None:
    """The one of the table; None for a size too."""
    words = re.sub(r"^NVIDIA-", "", text.strip().upper().replace(" ", "-").replace("_", "-"))
    exact = {name.upper(): gpu for name, gpu in GPUS.items()}
    if words in exact:
        return exact[words]
    # NVIDIA-A100-SXM4-80GB, NVIDIA-H100-80GB-HBM3, NVIDIA-H200.
    parts = set(words.split("-"))
    fitting = [gpu for name, gpu in exact.items() if set(name.split("-")) <= parts]
    return max(fitting, key=lambda gpu: len(gpu.name), default=None)
