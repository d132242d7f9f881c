"""What was rendered for a spec, kept: whatever a later release of the operator would render, it re-applies this and touches no pod.

A ControllerRevision holds one rendering, keyed by the part of the user's spec that shapes pods, and by nothing of the
operator's. Its data never changes, the API server holds that; what was learnt about it since stands in its annotations.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest

#: Revisions that have served and are kept beside the wanted one: the last to go back to, and the one before.
FORMER_KEPT: Final = 2


@dataclass(frozen=True)
class Template:
    """What pods are made from."""

    #: The pod template; its own hash is one of its labels.
    pod: Manifest
    #: Content of the RuntimeConfig's ConfigMap, which the pod template mounts by name.
    config: str

    @property
    def hash(self) -> str:
        """By which pods of this template are told."""
        return hash_of(self.pod)


@dataclass(frozen=True)
class Failure:
    """Why a revision's pods did not become Ready."""

    #: A reason of core/reasons.py.
    code: str
    message: str
    #: Which try of the spec failed so: another one forgets it.
    attempt: str


@dataclass(frozen=True)
class Revision:
    """One rendering."""

    #: NAME-HASH of the spec that it was rendered for.
    name: str
    #: Order in which revisions were wanted: the highest is the newest. Going back to one makes it the newest.
    number: int
    template: Template
    #: All replicas that were wanted have been Ready with it at the same time, since it became the newest.
    served: bool = False
    #: Why the former revision was restored instead; forgotten once it has served, or is gone back to.
    failure: Failure | None = None
    #: The commit that its pods serve, where the spec names a branch or a tag; "" until one of them has said.
    commit: str = ""


@dataclass(frozen=True)
class Pinned:
    """The revisions between which a rollout goes."""

    #: What the spec asks for.
    wanted: Revision
    #: The newest other one that has served: what can be restored.
    former: Revision | None
    #: Which try of the spec this is.
    attempt: str

    @property
    def target(self) -> Revision:
        """What pods are to be made from: the wanted revision, unless it has failed and the former one was restored.

        One that has served after all is never taken back for what was before: a try that failed may come to be asked for again,
        when an annotation is taken away or a field gets back its old value.
        """
        failure = None if self.wanted.served else self.wanted.failure
        return self.former if failure and failure.attempt == self.attempt and self.former else self.wanted


@dataclass(frozen=True)
class Rollout:
    """Which pods there shall be, and how they come about."""

    #: What the spec asks for.
    wanted: Revision
    #: What pods are made from: the wanted revision, or the former one that was restored.
    target: Revision
    #: True: a new pod comes before an old one goes. False: an old one goes first.
    surge: bool = True
    #: Why no surge is possible, where one was tried; "" otherwise.
    no_room: str = ""
    #: Why the wanted revision's pods do not become Ready, once that is settled.
    failure: Failure | None = None
    #: Look again then, even if nothing happens.
    look_at: datetime | None = None
    #: The target's pods are not all Ready yet, and there is something that they replace.
    under_way: bool = False

    @property
    def restored(self) -> bool:
        """Whether pods are made from the former revision."""
        return self.target.name != self.wanted.name


def read(children: Iterable[Manifest]) -> tuple[Revision, ...]:
    """The ControllerRevisions among the children, oldest first. What another version of this module wrote is left out."""
    found = [
        _revision(child)
        for child in children
        if child["kind"] == "ControllerRevision" and {"template", "config"} <= (child.get("data") or {}).keys()
    ]
    return tuple(sorted(found, key=lambda revision: (revision.number, revision.name)))


def _revision(child: Manifest) -> Revision:
    annotations = child["metadata"].get("annotations") or {}
    return Revision(
        name=child["metadata"]["name"],
        number=int(child["revision"]),
        template=Template(child["data"]["template"], child["data"]["config"]),
        served=names.SERVED in annotations,
        failure=_failure(annotations.get(names.FAILED)),
        commit=str(annotations.get(names.COMMIT, "")),
    )


def _failure(text: str | None) -> Failure | None:
    """What an operator wrote; somebody else's words count for nothing."""
    try:
        return Failure(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None


def kept(history: Iterable[Revision], wanted: Collection[str], running: Collection[str]) -> tuple[Revision, ...]:
    """The revisions that must stay: those `wanted` by name, those whose template is `running`, and the newest that served."""
    former = [revision for revision in history if revision.name not in wanted]
    served = [revision for revision in former if revision.served][-FORMER_KEPT:]
    return tuple(
        revision
        for revision in history
        if revision.name in wanted or revision.template.hash in running or revision in served
    )


def hash_of(template: Mapping[str, Any]) -> str:
    """The hash that a pod, or a pod template, carries; "" when it carries none."""
    return str((template["metadata"].get("labels") or {}).get(names.TEMPLATE_LABEL, ""))


def config_maps(template: Mapping[str, Any]) -> frozenset[str]:
    """Names of the ConfigMaps that a pod, or a pod template, mounts."""
    volumes = (template.get("spec") or {}).get("volumes") or ()
    return frozenset(volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
