"""What vLLM does to a command line before argparse sees it (vllm/utils/argparse_utils.py, the same from 0.26 to 0.33).

Underscores in flags become hyphens, -O takes its level glued on, and dotted flags (--compilation-config.mode 3) become one JSON
object. Files of flags (--config) are not read here: that argument is refused.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from fairlead_operator.core.engines.values import DEEPEST, human_int, read_json

#: Everything between the first -- and the first dot.
_NAME: Final = re.compile(r"(?<=--)[^\.]*")


class DottedWithoutValueError(ValueError):
    """`str()` is the flag: it stands last and nothing follows."""


def respelled(arguments: Sequence[str]) -> list[str]:
    """`arguments` as argparse gets them. Raises DottedWithoutValueError, where vLLM itself would fail with an IndexError."""
    return _without_dots(_plain(arguments))


def _plain(arguments: Sequence[str]) -> list[str]:
    plain: list[str] = []
    for at, argument in enumerate(arguments):
        if argument.startswith("--help="):
            plain.append("--help")
        elif argument.startswith("--"):
            name, equals, value = argument.partition("=")
            name = _NAME.sub(lambda found: found.group().replace("_", "-"), name, count=1)
            plain.append(f"{name}{equals}{value}")
        elif argument.startswith("-O") and argument != "-O":
            plain += ["--optimization-level", argument[3:] if argument[2] == "=" else argument[2:]]
        elif argument == "-O" and arguments[at + 1 : at + 2] and arguments[at + 1] in {"0", "1", "2", "3"}:
            plain.append("--optimization-level")
        else:
            plain.append(argument)
    return plain


def _without_dots(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    merged: dict[str, dict[str, Any]] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, text = argument.partition("=")
        # Deeper than any setting: left as it is, an argument that does not exist.
        if not argument.startswith("-") or not 1 <= name.count(".") <= DEEPEST:
            kept.append(argument)
            continue
        if not equals:
            following = next(rest, None)
            if following is None:
                raise DottedWithoutValueError(argument)
            text = following
        if name.endswith("+"):
            name, text = name[:-1], json.dumps(text.split(","))
        flag, *keys = name.split(".")
        nested: Any = _value(text)
        for key in reversed(keys):
            nested = {key: nested}
        _merge(merged.setdefault(flag, {}), nested)
    for flag, value in merged.items():
        kept += [flag, json.dumps(value)]
    return kept


def _value(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        pass
    try:
        return human_int(text)
    except ValueError:
        return text


def _merge(original: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        held = original.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            _merge(held, value)
        elif isinstance(value, list) and isinstance(held, list):
            original[key] = held + value
        else:
            original[key] = value
