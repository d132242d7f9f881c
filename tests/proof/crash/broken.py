"""Operators with a bug each, of kinds that other operators have had: a harness that finds none of them proves nothing.

Each function breaks the operator of the process that calls it.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fairlead_operator.controller import reconciler
from fairlead_operator.controller.children import Children
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.reconciler import Reconciler, Report
from fairlead_operator.controller.store import Key
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.seen import Snapshot


def names_of_chance() -> None:
    """A child's name has a part that the next process does not know."""
    resolve = vars(reconciler)["resolve"]

    def resolved(*arguments: Any) -> Any:
        outcome = resolve(*arguments)
        if isinstance(outcome, Resolved):
            return replace(outcome, revision_name=f"{outcome.revision_name}-{os.getpid()}")
        return outcome

    _swap(reconciler, "resolve", resolved)


def status_first() -> None:
    """Status says that a generation is carried out before it is, and a new process believes it."""
    carry_out = Reconciler._carry_out
    begun: set[str] = set()

    async def carried_out(self: Reconciler, key: Key, service: Manifest, resolved: Resolved, *, served: bool) -> Report:
        about = f"{service['metadata']['uid']} {service['metadata']['generation']}"
        if (service.get("status") or {}).get("observedGeneration") != service["metadata"]["generation"]:
            begun.add(about)
            await self._report(key, service, resolved, [])
        if about in begun:
            return await carry_out(self, key, service, resolved, served=served)
        return await self._report(key, service, resolved, [])

    _swap(Reconciler, "_carry_out", carried_out)


def prunes_what_it_remembers() -> None:
    """It deletes what is no longer wanted only if the same process had written it."""
    apply, prune = Cluster.apply, Children.prune
    written: set[tuple[str, str]] = set()

    async def applied(self: Cluster, manifest: Manifest, *arguments: Any) -> Manifest:
        written.add((manifest["kind"], manifest["metadata"]["name"]))
        return await apply(self, manifest, *arguments)

    async def pruned(self: Children, key: Key, snapshot: Snapshot, intent: Sequence[Manifest]) -> list[str]:
        known = tuple(child for child in snapshot.children if (child["kind"], child["metadata"]["name"]) in written)
        return await prune(self, key, replace(snapshot, children=known), intent)

    _swap(Cluster, "apply", applied)
    _swap(Children, "prune", pruned)


def pods_know_the_operator() -> None:
    """The pod template holds something of the process that wrote it, so that every new one makes new pods."""
    build = vars(reconciler)["build_objects"]

    def built(*arguments: Any) -> list[Manifest]:
        objects = build(*arguments)
        template = objects[-1]["spec"]["template"]
        annotations = {**template["metadata"].get("annotations", {}), "written-by": str(os.getpid())}
        metadata = {**template["metadata"], "annotations": annotations}
        spec = {**objects[-1]["spec"], "template": {**template, "metadata": metadata}}
        return [*objects[:-1], {**objects[-1], "spec": spec}]

    _swap(reconciler, "build_objects", built)


def _swap(owner: object, name: str, other: Callable[..., Any]) -> None:
    setattr(owner, name, other)


BREAKAGES: dict[str, Callable[[], None]] = {
    "names of chance": names_of_chance,
    "status first": status_first,
    "prunes what it remembers": prunes_what_it_remembers,
    "pods know the operator": pods_know_the_operator,
}
