"""The conditions of one InferenceService, followed until it is Ready or cannot become so."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.errors import LocalError

COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}
#: Seconds between two looks: the view is for a person.
LOOK_EVERY = 1.0


class NotReady(LocalError):  # noqa: N818
    """The service did not become Ready; the text says why, in the words of its own conditions."""


def command(console: Console, line: str) -> None:
    """What a user would type for the step that follows."""
    console.print(f"\n[bold cyan]$[/] {escape(line)}", highlight=False, soft_wrap=True)


def follow(console: Console, kubectl: Kubectl, name: str, seconds: float) -> None:
    """Show the conditions until Ready. Raises NotReady when `seconds` pass first or the service is Stalled."""

    def ready(service: Mapping[str, Any], conditions: Mapping[str, Any]) -> bool:
        return status(conditions, "Ready") == "True" and current(service)

    watch(console, kubectl, name, seconds, ready)


def follow_to_failure(console: Console, kubectl: Kubectl, name: str, seconds: float) -> None:
    """Show the conditions until an engine of this spec has failed. Raises NotReady when `seconds` pass first."""

    def failed(service: Mapping[str, Any], conditions: Mapping[str, Any]) -> bool:
        return status(conditions, "EngineHealthy") == "False" and current(service)

    watch(console, kubectl, name, seconds, failed)


def watch(
    console: Console,
    kubectl: Kubectl,
    name: str,
    seconds: float,
    until: Callable[[Mapping[str, Any], Mapping[str, Any]], bool],
) -> None:
    """Show the conditions until `until` says so of the service and them. Raises NotReady."""
    deadline = time.monotonic() + seconds
    shown = ""
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            service = kubectl.get("inferenceservices.fairlead.dev", name)
            conditions = {row["type"]: row for row in service.get("status", {}).get("conditions", [])}
            if console.is_terminal:
                live.update(picture(name, conditions))
            elif (line := summary(conditions)) != shown:
                # A log keeps every line: print only what changed.
                shown = line
                console.print(f"  {line}", markup=False, highlight=False)
            if until(service, conditions):
                return
            stalled = status(conditions, "Stalled") == "True" and current(service)
            if stalled or time.monotonic() > deadline:
                raise NotReady(f"{name} is not Ready: {reason(conditions)}\nSee: fairlead why {name}")
            time.sleep(LOOK_EVERY)


def current(service: Mapping[str, Any]) -> bool:
    """Whether the status speaks of the spec as it is now."""
    return bool(service["status"].get("observedGeneration") == service["metadata"]["generation"])


def status(conditions: Mapping[str, Any], kind: str) -> str:
    """True, False or Unknown; absent is Unknown."""
    return str(conditions.get(kind, {}).get("status", "Unknown"))


def reason(conditions: Mapping[str, Any]) -> str:
    """Why the service is not Ready."""
    ready = conditions.get("Ready")
    return f"{ready['reason']}: {ready['message']}" if ready else "its status is empty; is the operator running?"


def summary(conditions: Mapping[str, Any]) -> str:
    """One line: every condition's status, and why Ready is not True."""
    states = " ".join(f"{kind}={row['status']}" for kind, row in conditions.items())
    return f"{states or 'no status yet'} | {reason(conditions)}"


def picture(name: str, conditions: Mapping[str, Any]) -> Group:
    """A table, one row for each condition."""
    table = Table(title=f"infs/{name}", title_justify="left", expand=False)
    for heading in ("Condition", "Status", "Reason", "Message"):
        table.add_column(heading, overflow="fold", max_width=70)
    for kind, row in conditions.items():
        coloured = Text(row["status"], style=COLOURS.get(row["status"], ""))
        table.add_row(kind, coloured, row["reason"], row["message"])
    return Group(table)
