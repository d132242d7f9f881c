"""Which revision a spec asks for: the one kept for it, else the one that runs already, else what this release renders."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.build.template import render
from fairlead_operator.core.fingerprint import attempt, revision_name
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.refusal import is_told
from fairlead_operator.core.rejection import verdict_of
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import (
    Pinned,
    Revision,
    Template,
    config_maps,
    hash_of,
    read,
)
from fairlead_operator.core.seen import Snapshot
from fairlead_runtime import planned

#: Of a live template, what an operator put there: whatever else it holds is somebody else's.
_OURS: Final = {"containers": (names.CONTAINER,), "volumes": names.VOLUMES}


def pinned(resolved: Resolved, snapshot: Snapshot) -> Pinned:
    """What is wanted, and what can be gone back to."""
    wanted = pin(resolved, snapshot)
    others = [
        revision
        for revision in read(snapshot.children)
        if revision.served and revision.name != wanted.name and revision.template.hash != wanted.template.hash
    ]
    annotations = snapshot.service["metadata"].get("annotations") or {}
    return Pinned(wanted, others[-1] if others else None, attempt(resolved.spec, annotations))


def pin(resolved: Resolved, snapshot: Snapshot) -> Revision:
    """The revision that the spec asks for. Once it is kept, its content never depends on this release again."""
    name = resolved.revision_name
    history = read(snapshot.children)
    newest = max((revision.number for revision in history), default=0)
    for revision in history:
        if revision.name == name:
            # Gone back to: whether it serves now, or fails again, is yet to be seen.
            again = replace(revision, number=newest + 1, served=False, failure=None)
            return revision if revision.number == newest else again
    if history and (same := _needs_no_leave(resolved, snapshot, history[-1])):
        return same
    rendered = render(resolved)
    return Revision(name, newest + 1, _adopted(snapshot, rendered.hash) or rendered)


def _needs_no_leave(resolved: Resolved, snapshot: Snapshot, newest: Revision) -> Revision | None:
    """The newest revision, where it is of this very spec without the annotation that overrides the plan, has served, and does not
    fail for want of memory now: no plan stops it, so the annotation makes no new pods. Neither does a release that first tells the
    runtime of an annotation that was there before.
    """
    metadata, status = snapshot.service["metadata"], snapshot.service.get("status") or {}
    others = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != names.SKIP_PLAN}
    last = status.get("lastFailure") or {}
    fails = last.get("code") in planned.CODES and last.get("template") == newest.template.hash
    same = resolved.config.skip_plan and newest.name == revision_name(resolved.name, resolved.spec, others)
    return newest if same and newest.served and not fails else None


def _adopted(snapshot: Snapshot, rendered: str) -> Template | None:
    """The template that runs, where an operator that kept no revisions made it for this very spec; None for all others."""
    deployment = next((child for child in snapshot.children if child["kind"] == "Deployment"), None)
    if deployment is None or not _carried_out(snapshot.service):
        return None
    live = deployment["spec"]["template"]
    configs = config_maps(live)
    content = next(
        (
            child["data"][names.CONFIG_KEY]
            for child in snapshot.children
            if child["kind"] == "ConfigMap"
            and child["metadata"]["name"] in configs
            and names.CONFIG_KEY in child["data"]
        ),
        None,
    )
    known = {rendered, *(revision.template.hash for revision in read(snapshot.children))}
    if content is None or not hash_of(live) or hash_of(live) in known:
        return None
    return Template(_own_part(live), content)


def _carried_out(service: Mapping[str, Any]) -> bool:
    """Whether the status says that this generation was accepted: it is written after the Deployment was, or says WriteFailed.

    The annotation that asks for new defaults changes no generation: then what runs is just what is not wanted any more.
    """
    if names.ADOPT_DEFAULTS in (service["metadata"].get("annotations") or {}) or is_told(service):
        return False
    return verdict_of(service).get("status") == "True"


def _own_part(live: Manifest) -> Manifest:
    """The template with the API server's defaults, which are harmless, and without other people's additions, which stay theirs."""
    labels = live["metadata"]["labels"]
    spec = {
        key: [item for item in value if item["name"] in _OURS[key]] if key in _OURS else value
        for key, value in live["spec"].items()
        if key != "initContainers"
    }
    own = {*names.labels(""), names.TEMPLATE_LABEL, names.QUEUE_LABEL}
    return {
        "metadata": {
            "labels": {key: value for key, value in labels.items() if key in own},
            "annotations": dict(names.POD_ANNOTATIONS),
        },
        "spec": spec,
    }
