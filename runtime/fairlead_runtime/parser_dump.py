"""Writes down the command line of the installed vLLM, as its own parser has it: what a line may hold is judged from this file.

The build of the runtime's image runs it; the operator ships one such file for each version. Standard library and engine_shim
only, so that the step is repeated only when one of the two changes.

    python3 -P -m fairlead_runtime.parser_dump FILE
"""

import argparse
import contextlib
import dataclasses
import enum
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead_runtime import engine_shim

#: Characters of a default's text: some are whole configurations.
LONGEST_DEFAULT = 60
#: How vLLM's converting functions are called here, see core/engines/values.py of the operator.
_CONVERTERS: Mapping[str, str] = {
    "int": "int",
    "float": "float",
    "str": "text",
    "loads": "json",
    "union_dict_and_str": "json-or-text",
    "human_readable_int": "human-int",
    "human_readable_int_or_auto": "human-int-or-auto",
    "parse_dataclass": "object",
}


def dump(parser: argparse.ArgumentParser, version: str) -> str:
    """`parser` as JSON, one argument a line, so that two versions can be compared with diff."""
    # Not the actions' own option_strings: vLLM 0.33 hides forms from its help that its parser still takes.
    registered: Mapping[str, argparse.Action] = parser._option_string_actions  # noqa: SLF001 - argparse has no other way
    rows = [
        json.dumps(argument(action, [flag for flag, by in registered.items() if by is action]))
        for action in parser._actions  # noqa: SLF001
    ]
    return '{"vllm": ' + json.dumps(version) + ', "arguments": [\n' + ",\n".join(rows) + "\n]}\n"


def argument(action: argparse.Action, flags: Sequence[str]) -> dict[str, Any]:
    """One argument: flags, destination, how many values of which kind, and the default as text. What is usual is left out.

    flags: empty for the positional one. nargs: as argparse has it, absent for exactly one value. kind: text, int, float,
    human-int (4k, 2M), human-int-or-auto, json, json-or-text, object (JSON with the keys in `keys`), lowered (choices are
    compared in lower case and with underscores), other. optional: an empty value or None stands for no value.
    negative: the flags of a switch that switch off.
    """
    kind, optional, keys = _kind(action.type)
    # vLLM 0.26 lists the word "None" where it means no value, and so refuses both.
    choices = [value for value in action.choices if value not in (None, "None")] if action.choices is not None else None
    optional = optional and (action.choices is None or None in action.choices)
    found: dict[str, Any] = {
        "flags": list(flags),
        "dest": action.dest,
        "nargs": action.nargs,
        "kind": kind if action.nargs != 0 else None,
        "optional": optional or None,
        "choices": choices,
        "keys": keys,
        "negative": [flag for flag in flags if _negates(action, flag)] or None,
        "default": _text(action.default),
    }
    return {name: value for name, value in found.items() if value is not None}


def _kind(converter: Any) -> tuple[str, bool, list[str] | None]:
    """Kind, whether no value can be written, and the keys of an object."""
    if converter is None:
        return "text", False, None
    name = getattr(converter, "__name__", "")
    if name in {"_optional_type", "_parse_type"}:
        inner = next(cell.cell_contents for cell in converter.__closure__ if callable(cell.cell_contents))
        kind, optional, keys = _kind(inner)
        return kind, optional or name == "_optional_type", keys
    if name == "parse_dataclass":
        fields = dataclasses.fields(converter.__defaults__[0])
        return "object", False, [field.name for field in fields if field.init and not field.name.startswith("_")]
    return _CONVERTERS.get(name) or _probed(converter), False, None


def _probed(converter: Callable[[str], object]) -> str:
    """The kind of a function without a name."""
    try:
        return "lowered" if converter("A-b") == "a_b" else "other"
    except Exception:  # noqa: BLE001 - a function that is not known may raise anything
        return "other"


def _negates(action: argparse.Action, flag: str) -> bool:
    """Switches have --x and --no-x; since vLLM 0.33 --enable-x and --disable-x are each other's opposite as well."""
    if not isinstance(action, argparse.BooleanOptionalAction):
        return False
    return flag.startswith("--no-") or flag in getattr(action, "negative_option_strings", ())


def _text(default: object) -> str | None:
    if default is None or default is False or default == argparse.SUPPRESS:
        return None
    value = default.value if isinstance(default, enum.Enum) else default
    return str(value)[:LONGEST_DEFAULT]


def installed() -> str:
    """The dump of the vLLM that this Python has. Raises ImportError as engine_shim.load does."""
    functions = engine_shim.load()
    with contextlib.suppress(ModuleNotFoundError):  # an engine that is not vLLM itself has no platforms
        platform = importlib.import_module("vllm.platforms").current_platform
        if not platform.device_type:
            # Images are built on machines without an accelerator; some versions look for one to fill in a default.
            type(platform).device_type = "cuda"
    return dump(functions.make_arg_parser(functions.argument_parser()), functions.version)


if __name__ == "__main__":
    # vLLM logs to stdout.
    with contextlib.redirect_stdout(sys.stderr):
        written = installed()
    Path(sys.argv[1]).write_text(written, encoding="utf-8")
