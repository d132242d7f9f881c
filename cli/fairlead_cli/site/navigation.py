"""A hook of mkdocs: every page in docs/benchmarks stands in the menu without being named there.

It runs in the builder's environment, which has no fairlead.
"""

from pathlib import Path
from typing import Any

FOLDER = "benchmarks"


def on_config(config: Any) -> Any:
    """Called by mkdocs with what mkdocs.yml says."""
    config.nav = completed(config.nav, listed(Path(config.docs_dir)))
    return config


def listed(docs: Path) -> list[str]:
    """The pages of the folder by their path in docs/; README.md, which is its index, comes first."""
    names = sorted((path.name for path in (docs / FOLDER).glob("*.md")), key=lambda name: (name != "README.md", name))
    return [f"{FOLDER}/{name}" for name in names]


def completed(nav: list[Any], pages: list[str]) -> list[Any]:
    """The menu with `pages` in place of the entry that is the folder."""
    return [
        {title: [*pages] if content == f"{FOLDER}/" else content for title, content in entry.items()}
        if isinstance(entry, dict)
        else entry
        for entry in nav
    ]
