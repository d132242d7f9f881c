"""Everything that was ever said in the status of any InferenceService, also what was true for a moment only."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx

from api.client import connect
from api.cluster import Manifest
from api.listening import listening

#: Namespace and name.
Place = tuple[str, str]
#: Type, status and reason of a condition.
Verdict = tuple[str, str, str]
PATH = "/apis/fairlead.dev/v1alpha1/inferenceservices"
EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"


@contextlib.contextmanager
def witness(kubeconfig: Path) -> Iterator["Witness"]:
    """A watch that runs beside the tests."""
    with connect(kubeconfig) as http:
        found = Witness(http)
        with listening(kubeconfig, PATH, found.note):
            yield found


class Witness:
    """What was seen so far. What is wrong with a status is kept in `lies`."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        #: The first object in whose status the verdict was seen.
        self.seen: dict[Place, dict[Verdict, Manifest]] = defaultdict(dict)
        self.lies: list[str] = []

    def note(self, _: str, service: Manifest) -> None:
        """Take in a version of a service."""
        place = service["metadata"]["namespace"], service["metadata"]["name"]
        status = service.get("status") or {}
        conditions = {item["type"]: item for item in status.get("conditions", ())}
        for item in conditions.values():
            self.seen[place].setdefault((item["type"], item["status"], item["reason"]), service)
            if item.get("observedGeneration") != status["observedGeneration"]:
                self.lies.append(f"{place}: {item} is not of generation {status['observedGeneration']}")
        if {"Reconciling", "Stalled"} <= conditions.keys():
            self.lies.append(f"{place}: Reconciling and Stalled at once")

    def words(self, place: Place) -> dict[Verdict, str]:
        """All verdicts that were seen, with their messages."""
        return {
            verdict: next(item["message"] for item in service["status"]["conditions"] if item["type"] == verdict[0])
            for verdict, service in sorted(self.seen[place].items())
        }

    def told(self, place: Place, reason: str) -> Manifest | None:
        """The event about the service with this reason."""
        items = self._http.get(EVENTS.format(place[0])).json()["items"]
        return next(
            (item for item in items if item["reason"] == reason and item["regarding"]["name"] == place[1]), None
        )
