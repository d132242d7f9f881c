"""docs/chart.md: every value of the chart with its default, from the comments in values.yaml. `make generate`."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.benchmarks_page import table

VALUES = Path("charts/fairlead/values.yaml")
PAGE = Path("docs/chart.md")
HEAD = """\
# The chart's values

<!-- Made by `make generate` from charts/fairlead/values.yaml. -->

A name that is misspelt is refused. [Operations](operations.md#install) says which ones to think about.
"""
_COMMENT = re.compile(r"^(?P<indent> *)# ?(?:-- )?(?P<text>.*)$")
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w./-]*):(?: +(?P<value>.*))?$")


@dataclass(frozen=True)
class Value:
    """`default` is as it is written; "" for a group of values."""

    path: str
    default: str
    says: str


def values(text: str) -> Iterator[Value]:
    """Every key in the order of the file. A comment belongs to the key below it."""
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if comment := _COMMENT.match(line):
            above.append(comment["text"].strip())
        elif key := _KEY.match(line):
            indent = len(key["indent"])
            path = [*(part for part in path if part[0] < indent), (indent, key["key"])]
            yield Value(
                ".".join(name for _, name in path), (key["value"] or "").partition(" #")[0].strip(), " ".join(above)
            )
            above = []
        else:
            above = []


def page(text: str) -> str:
    """The whole page."""
    rows = [
        (f"`{value.path}`", f"`{value.default}`" if value.default else "", value.says.replace("<", "&lt;"))
        for value in values(text)
        if value.default or value.says
    ]
    return f"{HEAD}\n{table(('value', 'default', 'means'), rows)}\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(VALUES.read_text(encoding="utf-8")), encoding="utf-8")
