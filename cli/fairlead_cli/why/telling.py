"""Stories to the terminal: text, colours where there is a terminal, or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from fairlead_cli.why.page import WIDTH, Line
from fairlead_operator.core.moments import rfc3339

#: Beyond this, lines are hard to read.
WIDEST = 110


def width(console: Console) -> int:
    """A terminal's own, within reason; 80 columns for files and pipes."""
    return min(max(console.width, 40), WIDEST) if console.is_terminal else WIDTH


def show(console: Console, lines: Sequence[Line]) -> None:
    """Line by line, as they are: nothing is wrapped, marked up or highlighted here."""
    for line in lines:
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def as_json(story: Any) -> str:
    """Any dataclass, in the API's manner: camelCase, times in RFC 3339. The keys of maps are their users' and stay."""
    return json.dumps(_plain(story), indent=2)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {_camel(field.name): _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return rfc3339(value) if isinstance(value, datetime) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
