"""`fairlead status`."""

import sys
from datetime import UTC, datetime

import click
from rich.console import Console

from fairlead_cli.why import telling
from fairlead_cli.why.acting import is_current
from fairlead_cli.why.asking import SERVICES, UnansweredError
from fairlead_cli.why.options import Place, in_a_cluster
from fairlead_cli.why.refusals import cannot_tell
from fairlead_cli.why.table import table


@click.command()
@click.argument("name")
@in_a_cluster
def status(place: Place, name: str) -> None:
    """The conditions and replicas of the InferenceService NAME.

    The exit code is that of `why`: 0 when Ready is True, 1 when not, 2 when it cannot be told.
    """
    console = Console(highlight=False)
    try:
        service = place.reader().get(SERVICES, name)
    except UnansweredError as refusal:
        cannot_tell(refusal, place, name)
    telling.show(console, table(service, datetime.now(UTC), telling.width(console)))
    ready = any(
        row["type"] == "Ready" and row["status"] == "True"
        for row in (service.get("status") or {}).get("conditions") or ()
    )
    sys.exit(0 if ready and is_current(service) else 1)
