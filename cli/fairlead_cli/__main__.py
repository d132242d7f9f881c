"""The `fairlead` command."""

import sys

import click

from fairlead_cli.commands.cluster import cluster
from fairlead_cli.commands.demo import demo
from fairlead_cli.commands.images import images
from fairlead_cli.local.errors import LocalError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fairlead")
def fairlead() -> None:
    """Language models on Kubernetes, from this machine."""


fairlead.add_command(cluster)
fairlead.add_command(demo)
fairlead.add_command(images)


def main() -> None:
    """Run the command; what the user can mend is one message, never a traceback."""
    try:
        fairlead()
    except LocalError as error:
        sys.exit(f"fairlead: {error}")


if __name__ == "__main__":
    main()
