"""Whether anybody carries out what the spec asks for: the operator's Lease, and how long a change has gone unseen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fairlead_cli.why.gathering import Sight
from fairlead_cli.why.spans import since
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import STATUS_FIELD_MANAGER, Manifest

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
    unseen = not current and changed is not None and now - changed > UNSEEN
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
    elif unseen and changed is not None:
        who = f"the operator in namespace {namespace} is alive, but it" if namespace else "the operator"
        nobody = (
            f"{who} has not looked at this spec since it was changed {since(changed, now)} ago;"
            " does it run, and serve this namespace?"
        )
    return Acting(current, changed, nobody, namespace)


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


def _is_of_the_spec(entry: Mapping[str, Any]) -> bool:
    """A scale has a subresource of its own, and changes the spec."""
    return entry.get("subresource") != "status" and entry.get("manager") != STATUS_FIELD_MANAGER


def _age(lease: Manifest, now: datetime) -> timedelta:
    renewed = moment(lease["spec"].get("renewTime") or lease["metadata"].get("creationTimestamp"))
    return now - renewed if renewed else timedelta.max
