"""`fairlead cluster up | down | status`."""

import sys

import click

from fairlead_cli.local import cluster as local
from fairlead_cli.local import node, surroundings


@click.group()
def cluster() -> None:
    """A real one-node Kubernetes on this machine."""


@cluster.command()
def up() -> None:
    """Start it, unless it runs; what is missing is built or installed first."""
    running = local.up(click.echo)
    click.echo(f"running\n  export KUBECONFIG={running.kubeconfig}")
    if told := surroundings.exemption(node.NETWORK):
        click.echo(f"  {told}   # no proxy leads to the cluster")


@cluster.command()
def down() -> None:
    """Stop it and leave nothing behind but the cache."""
    local.down(click.echo)
    click.echo("stopped")


@cluster.command()
def status() -> None:
    """What runs; the exit code is 0 when pods would run now, else 1."""
    seen = local.status()
    for name, alive in seen.components.items():
        click.echo(f"{name:24} {'runs' if alive else 'stopped'}")
    click.echo(f"{'node':24} {'Ready' if seen.node_ready else 'not ready'}")
    sys.exit(0 if seen.running else 1)
