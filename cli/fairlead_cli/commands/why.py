"""`fairlead why`."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.console import Console

from fairlead_cli.why import listing, telling
from fairlead_cli.why.asking import UnansweredError
from fairlead_cli.why.gathering import gather
from fairlead_cli.why.listing import Listing
from fairlead_cli.why.options import Place, in_a_cluster
from fairlead_cli.why.page import Line, page
from fairlead_cli.why.refusals import cannot_tell
from fairlead_cli.why.story import Story, tell


@click.command()
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Without NAME: services of all namespaces.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@in_a_cluster
def why(place: Place, name: str | None, output: str, everywhere: bool) -> None:  # noqa: FBT001 - click's flag
    """Tell whether the InferenceService NAME is healthy, and if not, what to change.

    Without NAME, every service of the namespace in a line. The exit code is 0 when healthy (Ready is True), 1 when not,
    and 2 when it cannot be told: no such service, no cluster.
    """
    if name and everywhere:
        raise click.UsageError("a NAME is in one namespace: leave out -A, and name the namespace with -n")
    try:
        healthy = _one(place, name, output) if name else _all(place, output, everywhere=everywhere)
    except UnansweredError as refusal:
        cannot_tell(refusal, place, name)
    sys.exit(0 if healthy else 1)


def _one(place: Place, name: str, output: str) -> bool:
    story = tell(gather(place.reader(), name, lambda: datetime.now(UTC)), place.cluster_flags)
    console = Console(highlight=False)
    _say(console, output, story, page(story, telling.width(console)))
    return story.healthy


def _all(place: Place, output: str, *, everywhere: bool) -> bool:
    listed = listing.look(place.reader(), datetime.now(UTC), everywhere=everywhere)
    console = Console(highlight=False)
    _say(console, output, listed, listing.lines(listed, telling.width(console), everywhere=everywhere))
    return listed.healthy


def _say(console: Console, output: str, told: Story | Listing, lines: Sequence[Line]) -> None:
    if output == "json":
        click.echo(telling.as_json(told))
    else:
        telling.show(console, lines)
