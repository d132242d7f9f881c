"""The `fairlead` command, and `kubectl fairlead`: the part of it that is about services in a cluster."""

import os
import sys

import click

from fairlead_cli.lazy import LazyGroup
from fairlead_cli.local.errors import LocalError

#: What kubectl shows as well: command -> module of fairlead_cli.commands.
IN_A_CLUSTER = {"bench": "bench", "logs": "logs", "status": "status", "why": "why"}
ON_THIS_MACHINE = {"cluster": "cluster", "demo": "demo", "images": "images", "plan": "plan"}
_SETTINGS = {"help_option_names": ["-h", "--help"]}


@click.group(cls=LazyGroup, commands_of={**IN_A_CLUSTER, **ON_THIS_MACHINE}, context_settings=_SETTINGS)
@click.version_option(package_name="fairlead")
def fairlead() -> None:
    """Language models on Kubernetes, from this machine."""


@click.group("kubectl fairlead", cls=LazyGroup, commands_of=IN_A_CLUSTER, context_settings=_SETTINGS)
@click.version_option(package_name="fairlead")
def kubectl_fairlead() -> None:
    """Language models on Kubernetes: InferenceServices in the cluster that kubectl speaks to."""


def main() -> None:
    """`fairlead`: what the user can mend is one message, never a traceback."""
    _run(fairlead)


def plugin() -> None:
    """`kubectl fairlead`: kubectl finds it on PATH by the name kubectl-fairlead."""
    _run(kubectl_fairlead, "kubectl fairlead")


def _run(group: click.Group, name: str | None = None) -> None:
    # Otherwise pydantic reads the metadata of all that is installed, in search of plugins that would watch it validate.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        group(prog_name=name)
    except LocalError as error:
        click.echo(f"{name or 'fairlead'}: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
