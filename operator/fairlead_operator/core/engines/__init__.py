"""The command lines of the vLLM versions that this release knows, as their own parsers have them: vllm-VERSION.json, one each.

The files are dumps, never written by hand: fairlead_runtime.parser_dump makes them with the vLLM that is installed, the build of
the runtime's image with its own. They are part of the package, as good as constants: read once.
"""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Final

from fairlead_operator.core.engines.parser import Parser

#: The vLLM in the runtime images of this release, by runtime/Dockerfile and locks/runtime-cpu.txt.
ACCELERATOR: Final = "0.33.0"
CPU: Final = "0.32.0"


@functools.cache
def parsers() -> Mapping[str, Parser]:
    """By version without its patch level, such as 0.32; oldest first."""
    found = sorted(
        (file for file in resources.files(__name__).iterdir() if file.name.endswith(".json")),
        key=lambda file: [int(part) for part in file.name.removeprefix("vllm-").removesuffix(".json").split(".")],
    )
    dumps = [json.loads(file.read_text(encoding="utf-8")) for file in found]
    return {minor(dump["vllm"]): Parser.from_dump(dump) for dump in dumps}


def parser_of(version: str) -> Parser | None:
    """The parser of a version such as 0.32.1; None for one that has no dump, and for "", which is unknown."""
    return parsers().get(minor(version))


def minor(version: str) -> str:
    """0.32.0 and 0.32.1+cpu are 0.32: a patch release adds no arguments."""
    return ".".join(version.split(".")[:2])
