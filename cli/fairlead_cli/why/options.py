"""The options that every command about a service in a cluster shares, in kubectl's own words."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from fairlead_cli.why.asking import Kubectl, find_kubectl


@dataclass(frozen=True)
class Place:
    """Which cluster, and which namespace of it; "" is what kubectl would take."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""

    @property
    def cluster_flags(self) -> tuple[str, ...]:
        """What reaches the cluster, for a command that is shown."""
        flags = (("--kubeconfig", self.kubeconfig), ("--context", self.context))
        return tuple(f"{name}={value}" for name, value in flags if value)

    def reader(self) -> Kubectl:
        """Raises UnansweredError without a kubectl."""
        where = (f"--namespace={self.namespace}",) if self.namespace else ()
        return Kubectl(find_kubectl(), (*self.cluster_flags, *where))


def in_a_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Gives the command a `place`."""

    @click.option("-n", "--namespace", default="", help="Namespace.  [default: the context's]")
    @click.option("--kubeconfig", default="", help="Kubeconfig file, as for kubectl.")
    @click.option("--context", default="", help="Context of the kubeconfig, as for kubectl.")
    @functools.wraps(command)
    def wrapped(namespace: str, kubeconfig: str, context: str, **others: Any) -> None:
        command(place=Place(namespace, kubeconfig, context), **others)

    return wrapped
