"""When no pod is kept any longer: a template that never served, and fails for a cause that only its user can remove.

Decided at every look from what the status says, so that a restart of the operator changes nothing. Where pods of another
template serve, the rollout decides instead; also while the last of them was just evicted, and its ReplicaSet makes another:
scaled to nothing, that ReplicaSet would never be scaled up again, but only the one that fails.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.reasons import REASONS, Retry
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import hash_of
from fairlead_operator.core.seen import Observed, PodView, Problem

#: Equal failures in a row, of all pods of the template together, that are tried.
TRIES: Final = 5
#: What is said of pods that are not made any longer.
GIVEN_UP: Final = "GivenUp"


def attempt(service: Mapping[str, Any]) -> str:
    """Differs when it is to be tried again: the spec was changed, or the annotation fairlead.dev/retry got another value."""
    metadata = service["metadata"]
    asked = (metadata.get("annotations") or {}).get(names.RETRY, "")
    generation = str(metadata.get("generation", 0))
    return f"{generation}-{names.digest(asked)}" if asked else generation


def given_up(service: Mapping[str, Any], template: str, pods: Iterable[PodView]) -> Problem | None:
    """The failure for which no pod is kept; None while pods are made. `template` is the hash of the wanted one."""
    status: Mapping[str, Any] = service.get("status") or {}
    last: Mapping[str, Any] = status.get("lastFailure") or {}
    reason, count = REASONS.get(last.get("code", "")), int(last.get("count", 0))
    hopeless = reason is not None and reason.retry is Retry.USER and count >= TRIES
    current = bool(template) and last.get("template") == template and last.get("attempt") == attempt(service)
    served = status.get("servedTemplate") == template
    if not hopeless or not current or served or any(_serves_or_is_former(pod) for pod in pods):
        return None
    return Problem(
        code=last["code"],
        message=f"no pod is kept after {count} equal failures: {last['message']}",
        field=str(last.get("field") or ""),
        remedy=f"it is tried again when the spec changes, or after: kubectl annotate infs {service['metadata']['name']}"
        f" {names.RETRY}=$(date +%s) --overwrite",
    )


def keeps_former(replica_sets: Iterable[Manifest], deployment: Manifest | None, template: str) -> bool:
    """Whether a ReplicaSet of the Deployment is to have pods of another template, be they there at the moment or not.

    One that nobody controls will be the Deployment's; so may any be while there is no Deployment.
    """
    return any(
        replica_set["spec"].get("replicas", 1) > 0
        and hash_of(replica_set["spec"]["template"]) != template
        and (deployment is None or names.controller_uid(replica_set) in {"", deployment["metadata"]["uid"]})
        for replica_set in replica_sets
    )


def depends_on_replica_sets(seen: Observed) -> bool:
    """Whether pods are about to be taken away for good, which no look at pods alone may decide."""
    return seen.given_up is not None and (seen.deployment is None or seen.deployment["spec"].get("replicas", 1) > 0)


def gives_up(service: Mapping[str, Any], status: Mapping[str, Any], seen: Observed) -> bool:
    """Whether `status`, just computed, is the first to say so: its pods are still there, and nobody else will call again."""
    if seen.given_up is not None or seen.keeps_former or seen.rejection:
        return False
    return given_up({**service, "status": status}, seen.template, seen.pods) is not None


def pods_wanted(service: Resolved, seen: Observed) -> Resolved:
    """The service with as many replicas as pods shall be kept for it."""
    return service if seen.given_up is None else replace(service, replicas=0)


def _serves_or_is_former(pod: PodView) -> bool:
    return not pod.deleting and (pod.ready or not pod.current)
