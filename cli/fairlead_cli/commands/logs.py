"""`fairlead logs`."""

import subprocess
import sys

import click

from fairlead_cli.why.asking import SERVICES, UnansweredError
from fairlead_cli.why.gathering import wanted_template
from fairlead_cli.why.options import Place, in_a_cluster
from fairlead_cli.why.pods import pod_to_read
from fairlead_cli.why.refusals import CANNOT_TELL, cannot_tell
from fairlead_operator.core.names import CONTAINER, SERVICE_LABEL


@click.command()
@click.argument("name")
@click.option("-p", "--previous", is_flag=True, help="The run before the present one.")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("--tail", type=click.IntRange(-1), default=-1, help="Last lines only.  [default: all]")
@in_a_cluster
def logs(place: Place, name: str, previous: bool, follow: bool, tail: int) -> None:  # noqa: FBT001 - click's flags
    """The engine's log of the InferenceService NAME: of the pod that fails, else of its oldest.

    Which pod, and which of its runs, is said on stderr. The exit code is kubectl's.
    """
    try:
        reader = place.reader()
        service = reader.get(SERVICES, name)
        deployments = reader.find("deployments.apps", fields=f"metadata.name={name}")
        pods = reader.find("pods", labels=f"{SERVICE_LABEL}={name}")
    except UnansweredError as refusal:
        cannot_tell(refusal, place, name)
    run = pod_to_read(service, pods, wanted_template(service, next(iter(deployments), None)))
    if run is None:
        click.echo(
            f"fairlead: {name} has no pod whose engine ran; `fairlead why {name}` says what is missing", err=True
        )
        sys.exit(CANNOT_TELL)
    # What runs now can be followed; what ended cannot.
    before = previous or (run.previous and not follow)
    click.echo(f"pod {run.pod}, {'the run before the present one' if before else 'the present run'}:", err=True)
    asked = [
        f"--container={CONTAINER}",
        f"--tail={tail}",
        *(["--previous"] if before else []),
        *(["-f"] if follow else []),
    ]
    sys.exit(subprocess.run(reader.command("logs", run.pod, *asked), check=False).returncode)
