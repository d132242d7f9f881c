"""Stories to the terminal: text, colours where there is a terminal, or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
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
    """Any dataclass, in the API's manner: camelCase, times in RFC 3339."""
    return json.dumps(_plain(asdict(story)), indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return rfc3339(value) if isinstance(value, datetime) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
