"""A hook of mkdocs: every page in docs/benchmarks stands in the menu without being named there, and no page is forgotten.

It runs in the builder's environment, which has no fairlead.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "benchmarks"
#: Heading of pages that nobody has put into the menu.
MORE = "More"


def on_config(config: Any) -> Any:
    """Called by mkdocs with what mkdocs.yml says."""
    config.nav = completed(config.nav, Path(config.docs_dir))
    return config


def completed(nav: list[Any], docs: Path) -> list[Any]:
    """The menu with the folder's pages in place of the entry that is the folder, and with what it leaves out at its end."""
    menu = [
        {title: listed(docs) if content == f"{FOLDER}/" else content for title, content in entry.items()}
        if isinstance(entry, dict)
        else entry
        for entry in nav
    ]
    there = set(named(menu))
    rest = sorted({str(path.relative_to(docs)) for path in docs.rglob("*.md")} - there)
    return [*menu, {MORE: rest}] if rest else menu


def listed(docs: Path) -> list[str]:
    """The pages of the folder by their path in docs/; README.md, which is its index, comes first."""
    names = sorted((path.name for path in (docs / FOLDER).glob("*.md")), key=lambda name: (name != "README.md", name))
    return [f"{FOLDER}/{name}" for name in names]


def named(entry: Any) -> Iterator[str]:
    """The paths of all pages in a part of a menu."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from named(part)
