"""docs/cli.md: what every command says of itself under --help. `make generate`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from fairlead_cli.__main__ import IN_A_CLUSTER, fairlead

PAGE = Path("docs/cli.md")
HEAD = """\
# The fairlead command

<!-- Made by `make generate` from cli/fairlead_cli/commands. -->

`pip install '.[cli]'` in a clone of the repository puts `fairlead` on PATH, and `kubectl-fairlead`, which kubectl finds as its plugin: it has
{plugin}. In the clone itself both are in `.venv/bin`, once a target of `make` has run.
"""
#: Characters in a line, whatever the terminal.
WIDTH = 100


def page() -> str:
    """The whole page."""
    plugin = ", ".join(f"`{name}`" for name in sorted(IN_A_CLUSTER))
    sections = [f"## {name}\n\n```\n{text}\n```\n" for name, text in helps(fairlead, "fairlead") if name != "fairlead"]
    return "\n".join([HEAD.format(plugin=plugin), *sections])


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """(full name, help) of a command and of those below it."""
    context = click.Context(
        command, info_name=name if parent is None else name.rpartition(" ")[2], parent=parent, terminal_width=WIDTH
    )
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from helps(found, f"{name} {below}", context)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
