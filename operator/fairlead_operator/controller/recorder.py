"""Events about InferenceServices (events.k8s.io/v1): what `kubectl describe` shows.

The same event again within some minutes becomes a series of the first one, so that a flapping pod fills no etcd. An event
that cannot be written is logged and dropped: it only tells what the status already says.
"""

import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import EVENTS, INFERENCE_SERVICES
from fairlead_operator.controller.outcomes import ApiError, LostLeaseError
from fairlead_operator.controller.store import place, uid
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.transitions import Event

log = logging.getLogger(__name__)

#: An event that comes again after a longer silence is a new one: client-go's time.
SERIES = timedelta(minutes=6)
#: Series that are remembered.
REMEMBERED = 4096
#: The API server's limit of a note, in bytes.
LONGEST_NOTE = 1024


@dataclass
class _Series:
    name: str
    count: int
    last: datetime


@dataclass
class Recorder:
    """`instance` is this process: the pod's name."""

    cluster: Cluster
    instance: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _series: OrderedDict[tuple[str, Event], _Series] = field(default_factory=OrderedDict)

    async def emit(self, service: Manifest, event: Event) -> None:
        """Write the event, or count it up."""
        now = self.now()
        key = (uid(service), event)
        known = self._series.get(key)
        try:
            if known is not None and now - known.last < SERIES:
                known.count, known.last = known.count + 1, now
                series = {"count": known.count, "lastObservedTime": _micro(now)}
                await self.cluster.merge(EVENTS, (service["metadata"]["namespace"], known.name), {"series": series})
                return
            created = await self.cluster.create(
                EVENTS, service["metadata"]["namespace"], self._body(service, event, now)
            )
        except (ApiError, LostLeaseError) as refusal:
            self._series.pop(key, None)
            log.warning(
                "an event was dropped: %s", refusal, extra={"service": "/".join(place(service)), "reason": event.reason}
            )
            return
        self._series[key] = _Series(created["metadata"]["name"], 1, now)
        while len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    def _body(self, service: Manifest, event: Event, now: datetime) -> Manifest:
        namespace, name = place(service)
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.name,
            "metadata": {"namespace": namespace, "name": f"{name}.{uuid.uuid4().hex[:16]}"},
            "eventTime": _micro(now),
            "reportingController": names.EVENT_CONTROLLER,
            "reportingInstance": self.instance[:128],
            "action": event.action,
            "reason": event.reason,
            "type": event.type,
            "note": event.note.encode()[:LONGEST_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": INFERENCE_SERVICES.api_version,
                "kind": INFERENCE_SERVICES.name,
                "namespace": namespace,
                "name": name,
                "uid": uid(service),
            },
        }


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
