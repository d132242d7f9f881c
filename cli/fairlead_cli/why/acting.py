"""Whether anybody carries out what the spec asks for: the operator's Lease, and how long a change of spec or pods has gone unseen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fairlead_cli.why.gathering import Sight, wanted_replicas
from fairlead_cli.why.spans import since
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import STATUS_FIELD_MANAGER, Manifest, is_active
from fairlead_operator.core.scheduling import condition_of

#: A working operator has looked at a change within a second or two; while one takes over from another it may take half a minute.
UNSEEN = timedelta(seconds=45)
#: Beyond the Lease's duration: its time is another machine's clock.
SKEW = timedelta(seconds=30)


@dataclass(frozen=True)
class Acting:
    """`current`: the status is about the spec as it is. `nobody`: why nobody acts, "" when somebody does or it cannot be known."""

    current: bool
    changed: datetime | None
    nobody: str
    #: Where the operator runs; "" when that is not known.
    namespace: str


def acting(sight: Sight) -> Acting:
    """What the service itself and the Leases say."""
    service, now = sight.service, sight.now
    current = is_current(service)
    changed = last_change(service)
    lease = min(sight.leases or (), key=lambda found: _age(found, now), default=None)
    namespace = str(lease["metadata"]["namespace"]) if lease else ""
    nobody = ""
    if sight.leases is not None and lease is None:
        nobody = "no operator has ever run in this cluster: there is no Lease of one"
    elif lease is not None and not lease["spec"].get("holderIdentity"):
        nobody = f"the operator was stopped: its Lease in namespace {namespace} is given back"
    elif (
        lease is not None
        and _age(lease, now) > timedelta(seconds=int(lease["spec"].get("leaseDurationSeconds") or 0)) + SKEW
    ):
        nobody = f"the operator is dead: its Lease in namespace {namespace} was last renewed {since(now - _age(lease, now), now)} ago"
    else:
        missed = _missed_pods(sight) if current else _missed_spec(changed, now)
        who = f"the operator in namespace {namespace} is alive, but it" if namespace else "the operator"
        nobody = f"{who} {missed}; does it run, and serve this namespace?" if missed else ""
    return Acting(current, changed, nobody, namespace)


def _missed_spec(changed: datetime | None, now: datetime) -> str:
    if changed is None or now - changed <= UNSEEN:
        return ""
    return f"has not looked at this spec since it was changed {since(changed, now)} ago"


def _missed_pods(sight: Sight) -> str:
    """What the pods show whatever the Leases say: these may not be read, or be another team's, or of one that has left this namespace."""
    if sight.pods is None or not _is_ready(sight.service):
        return ""
    wanted, ready = wanted_replicas(sight.service), sum(1 for pod in sight.pods if _serves(pod))
    lacking = wanted - ready
    if lacking <= 0:
        return ""
    # Since when at the latest: for each replica that is lacking, the newest change may be what took it. Where there are not even so
    # many pods nothing dates it, but a Deployment makes up for one at once.
    changes = sorted((at for pod in sight.pods if not _serves(pod) and (at := _served_until(pod))), reverse=True)
    lost = changes[lacking - 1] if lacking <= len(changes) else None
    if lost and sight.now - lost <= UNSEEN:
        return ""
    lasting = f" in {since(lost, sight.now)}" if lost else ""
    return f"has not noticed{lasting} that too few replicas are Ready ({ready} of {wanted})"


def is_current(service: Manifest) -> bool:
    """Whether the status speaks of the spec as it is now."""
    status = service.get("status") or {}
    return bool(status.get("conditions")) and status.get("observedGeneration") == service["metadata"].get("generation")


def last_change(service: Manifest) -> datetime | None:
    """When somebody last wrote the spec; without managedFields, when the service was made."""
    written = [
        at
        for entry in service["metadata"].get("managedFields") or ()
        if _is_of_the_spec(entry) and (at := moment(entry.get("time")))
    ]
    return max(written, default=moment(service["metadata"].get("creationTimestamp")))


def _is_ready(manifest: Manifest) -> bool:
    return (condition_of(manifest, "Ready") or {}).get("status") == "True"


def _serves(pod: Manifest) -> bool:
    return _is_ready(pod) and is_active(pod)


def _served_until(pod: Manifest) -> datetime | None:
    """When it was told to go, else stopped being Ready, else was made."""
    metadata = pod["metadata"]
    if gone := moment(metadata.get("deletionTimestamp")):
        return gone - timedelta(seconds=int(metadata.get("deletionGracePeriodSeconds") or 0))
    changed = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
    return moment(changed or metadata.get("creationTimestamp"))


def _is_of_the_spec(entry: Mapping[str, Any]) -> bool:
    """A scale has a subresource of its own, and changes the spec."""
    return entry.get("subresource") != "status" and entry.get("manager") != STATUS_FIELD_MANAGER


def _age(lease: Manifest, now: datetime) -> timedelta:
    renewed = moment(lease["spec"].get("renewTime") or lease["metadata"].get("creationTimestamp"))
    return now - renewed if renewed else timedelta.max
