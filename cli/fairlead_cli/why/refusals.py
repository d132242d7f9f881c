"""What is said when there is nothing to tell a story of."""

import sys
from typing import NoReturn

import click

from fairlead_cli.why.asking import Refusal, UnansweredError
from fairlead_cli.why.options import Place

#: Neither healthy nor unhealthy: it cannot be told. click's own for wrong usage.
CANNOT_TELL = 2


def cannot_tell(refusal: UnansweredError, place: Place, name: str | None) -> NoReturn:
    """One message on stderr that says what to do, and exit code 2."""
    click.echo(f"fairlead: {_message(refusal, place, name)}", err=True)
    sys.exit(CANNOT_TELL)


def _message(refusal: UnansweredError, place: Place, name: str | None) -> str:
    match refusal.refusal:
        case Refusal.NO_SUCH_KIND:
            return "this cluster does not know InferenceServices of fairlead.dev: install fairlead's chart, or choose another --context"
        case Refusal.ABSENT:
            where = f" in namespace {place.namespace}" if place.namespace else " in the context's namespace"
            return f"there is no InferenceService {name}{where}; `fairlead why -A` lists those of all namespaces"
        case Refusal.FORBIDDEN:
            return (
                f"you may not read what this needs: {refusal.brief}; ask for the ClusterRole `view` in that namespace"
            )
        case Refusal.UNREACHABLE:
            return f"the cluster does not answer: {refusal}"
