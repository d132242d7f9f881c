"""Whether one value of an argument can be what vLLM's parser makes of it, and the sentence to say when it cannot."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple


class Argument(NamedTuple):
    """One row of a dump; fairlead_runtime/parser_dump.py says what each part means."""

    flags: tuple[str, ...]
    dest: str
    #: None takes exactly one value, 0 none, "?" at most one, "+" one or more.
    nargs: int | str | None = None
    kind: str = "text"
    optional: bool = False
    choices: tuple[str | int, ...] = ()
    #: Of an object, the keys that it may have.
    keys: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Argument":
        """From one line of a dump."""
        return cls(
            flags=tuple(row["flags"]),
            dest=row["dest"],
            nargs=row.get("nargs"),
            kind=row.get("kind", "text"),
            optional=row.get("optional", False),
            choices=tuple(row.get("choices", ())),
            keys=tuple(row.get("keys", ())),
        )


#: Names that a message lists, and characters of a value that it repeats.
LISTED: Final = 24
_LONGEST_QUOTE: Final = 80
_SUFFIXED: Final = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])")
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}
_STRINGS: Final = re.compile(r'("(?:[^"\\]|\\.)*")')
#: Lists and objects inside each other: more than any setting has, and few enough for whatever walks through them.
DEEPEST: Final = 64
_OBJECT: Final = re.compile(r"(?s)^\s*{.*}\s*$")


def complaint(argument: Argument, text: str) -> str:
    """What is wrong with `text` as a value, ending with what to do; "" when vLLM's parser takes it."""
    if argument.optional and text in {"", "None"}:
        return ""
    try:
        value = _KINDS.get(argument.kind, str)(text)
    except ValueError:
        return f"{_quoted(text)} is no {_NAMES.get(argument.kind, argument.kind)}; correct the value"
    if argument.choices and argument.kind != "other" and value not in argument.choices:
        return f"{_quoted(text)} is none of {listed(argument.choices)}; choose one of these"
    if argument.kind == "object":
        return _about_keys(argument, value)
    return ""


def listed(names: Sequence[object]) -> str:
    """Not all of a long list."""
    more = len(names) - LISTED
    return ", ".join(str(name) for name in names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}...")


def objects(argument: Argument, texts: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Those of the values that are JSON objects; empty for other kinds, and for what cannot be read."""
    if argument.kind not in {"object", "json", "json-or-text"}:
        return ()
    found = []
    for text in texts:
        try:
            value = _expanded(text)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return tuple(found)


def _about_keys(argument: Argument, value: object) -> str:
    if not isinstance(value, dict):
        return "it must be a JSON object; write {...}, or one key as FLAG.KEY"
    unknown = next((key for key in value if argument.keys and key not in argument.keys), None)
    if unknown is None:
        return ""
    near = get_close_matches(unknown, argument.keys, n=1, cutoff=0.5)
    return f"it has no key {unknown!r}; " + (f"write {near[0]!r}, or remove it" if near else "remove it")


def human_int(text: str) -> int:
    """As vLLM reads sizes: 4k is 4,000, 4K is 4,096. Raises ValueError."""
    match = _SUFFIXED.fullmatch(text.strip())
    if not match:
        return int(text)
    number, suffix = match.groups()
    power = _POWERS[suffix.lower()]
    if suffix.isupper():
        binary: int = int(number) * 1024**power
        return binary
    size = float(number) * 1000**power
    if math.isinf(size):
        raise ValueError(f"{number[:20]}... is more than any size")
    return int(size)


def _human_int_or_auto(text: str) -> int:
    return -1 if text.strip().lower() in {"auto", "-1"} else human_int(text)


def read_json(text: str) -> Any:
    """Raises ValueError, also for what nests deeper than DEEPEST."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError("it nests too deep")


def _inside(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _expanded(text: str) -> Any:
    """JSON in which numbers outside of strings may carry a suffix."""
    parts = _STRINGS.split(text)
    parts[::2] = [
        re.sub(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b", lambda found: str(human_int(found.group())), part) for part in parts[::2]
    ]
    return read_json("".join(parts))


def _json_or_text(text: str) -> Any:
    return read_json(text) if _OBJECT.match(text) else text


_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "int": int,
    "float": float,
    "json": read_json,
    "json-or-text": _json_or_text,
    "human-int": human_int,
    "human-int-or-auto": _human_int_or_auto,
    "object": _expanded,
    "lowered": lambda text: text.lower().replace("-", "_"),
}
_NAMES: Final = {
    "int": "whole number",
    "float": "number",
    "json": "JSON",
    "json-or-text": "JSON",
    "human-int": "size, such as 4096 or 4k",
    "human-int-or-auto": "length, such as 4096, 4k or auto",
    "object": "JSON",
}
