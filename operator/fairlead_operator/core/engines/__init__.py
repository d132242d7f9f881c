"""The command lines of the vLLM versions that this release knows, as their own parsers have them: vllm-VERSION.json, one each.

The files are dumps, never written by hand: fairlead_runtime.parser_dump makes them with the vLLM that is installed, the build of
the runtime's image with its own. They are part of the package, as good as constants: read once, and only the one that is asked for.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead_operator.core.engines.parser import Parser

#: The vLLM in the runtime images of this release, by runtime/Dockerfile and locks/runtime-cpu.txt.
ACCELERATOR: Final = "0.33.0"
CPU: Final = "0.32.0"


def parsers() -> Mapping[str, Parser]:
    """By version without its patch level, such as 0.32; oldest first."""
    return {version: _read(file) for version, file in _dumps().items()}


def parser_of(version: str) -> Parser | None:
    """The parser of a version such as 0.32.1; None for one that has no dump, and for "", which is unknown."""
    file = _dumps().get(minor(version))
    return _read(file) if file else None


@functools.cache
def _dumps() -> Mapping[str, Path]:
    found = {file.stem.removeprefix("vllm-"): file for file in Path(__file__).parent.glob("vllm-*.json")}
    return {
        version: found[version] for version in sorted(found, key=lambda name: [int(part) for part in name.split(".")])
    }


@functools.cache
def _read(file: Path) -> Parser:
    return Parser.from_dump(json.loads(file.read_text(encoding="utf-8")))


def minor(version: str) -> str:
    """0.32.0 and 0.32.1+cpu are 0.32: a patch release adds no arguments."""
    return ".".join(version.split(".")[:2])
