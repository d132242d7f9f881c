"""A namespace with an operator of its own, which is killed at a write that is named beforehand.

Lanes run beside each other: each operator serves its namespace alone, has its Lease in another one that no other lane uses, and
speaks through a proxy of its own.
"""

import contextlib
import dataclasses
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from api import access
from api.client import connect
from api.cluster import Manifest
from api.listening import listening
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_cli.local.health import free_ports
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS
from proof.crash.nursery import ForkedOperator, Nursery
from proof.crash.pictures import Place, differences
from proof.crash.steps import Step
from proof.proxy import Cut, Hooks, Proxy, Write
from proof.requests import Answer, Request
from simulated.nodes import Pool

When = Literal["before", "after"]
#: Seconds until a step is carried out, on two cores that other lanes use as well.
PATIENCE = 90.0
#: Seconds without a write or a change, after which a run that nobody disturbed counts as over.
QUIET = 3.0
#: Seconds between two looks.
LOOK = 0.2


@dataclass(frozen=True)
class Point:
    """A write of a step: the so-manieth of its kind. Told so, and not by its number, for how often status is written in between hangs on moments."""

    what: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.what} ({self.nth})"


#: Of a step that writes nothing.
NOTHING = Point("nothing to write")


@dataclass(frozen=True)
class Kill:
    """Right before a write reaches the API server, or right after its answer."""

    when: When
    point: Point


class Killer(Hooks):
    """Kills once. `hit` says that it has happened."""

    def __init__(self, operator: ForkedOperator, kill: Kill | None) -> None:
        self._operator = operator
        self._kill = kill
        self._seen = 0
        self._number = 0
        self.hit = False

    async def before(self, request: Request) -> Answer | None:
        if self._kill is None or not request.number or described(request) != self._kill.point.what:
            return None
        self._seen += 1
        if self._seen == self._kill.point.nth:
            self._number = request.number
            if self._kill.when == "before":
                self.kill()
                raise Cut
        return None

    async def after(self, request: Request, answer: Answer) -> Answer:
        if self._number and request.number == self._number:
            self.kill()
            raise Cut
        return answer

    def kill(self) -> None:
        """Now."""
        self._operator.end(signal.SIGKILL)
        self.hit = True


def described(request: Request) -> str:
    """A write in words, without the names that a spec's hash is part of."""
    return _words(request.verb, request.target.resource, request.target.subresource)


def _words(verb: str, resource: str, subresource: str) -> str:
    return f"{verb} {'/'.join(filter(None, (resource, subresource)))}"


@dataclass(frozen=True)
class Seen:
    """How a step ended. created: how many children of each kind the API server was made to create."""

    picture: dict[str, Any]
    writes: tuple[Write, ...]
    created: Counter[str]
    made: int
    kept: int

    @property
    def points(self) -> list[Point]:
        """Where the step can be interrupted."""
        seen: Counter[str] = Counter()
        points = []
        for write in self.writes:
            what = _words(write.verb, write.resource, write.subresource)
            seen[what] += 1
            points.append(Point(what, seen[what]))
        return points or [NOTHING]


@dataclass
class Lane:
    """`pods` has every pod that was ever there: uid to whether it still is."""

    place: Place
    pool: Pool
    operator: ForkedOperator
    proxy: Proxy
    pods: dict[str, bool] = field(default_factory=dict)

    def note(self, kind: str, pod: Manifest) -> None:
        """An event of the watch on pods."""
        self.pods[pod["metadata"]["uid"]] = kind != "DELETED"

    def calm(self, step: Step) -> Seen:
        """Carry a step out; over when nothing has moved for a while."""
        began, before = len(self.proxy.writes), dict(self.pods)
        step.act(self.place, self.pool)
        deadline = time.monotonic() + PATIENCE
        last, since = self._moment(), time.monotonic()
        while time.monotonic() < since + QUIET:
            assert time.monotonic() < deadline, f"{step.name} does not come to rest; {self._seen(began, before)}"
            time.sleep(LOOK)
            if (now := self._moment()) != last or not self._over(step, self._seen(began, before)):
                last, since = now, time.monotonic()
        return self._seen(began, before)

    def _over(self, step: Step, seen: Seen) -> bool:
        """Whether the step is carried out, as far as anybody can know who does not know the end yet."""
        if (seen.made, seen.kept) != (step.made, step.kept):
            return False
        services = self.place.items(INFERENCE_SERVICES)
        if not services:
            return not any(seen.picture.values())
        status = services[0].get("status", {})
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ()))
        return ready and status["observedGeneration"] == services[0]["metadata"]["generation"]

    def _moment(self) -> tuple[Any, int]:
        return self.place.picture(), len(self.proxy.writes)

    def disturbed(
        self, step: Step, kill: Kill | None, calm: Seen, patience: float = PATIENCE
    ) -> tuple[bool, list[str]]:
        """Carry a step out with a kill in it; returns whether it came to that, and what ended differently.

        Where the step has nothing to write, the kill is before it happens, or right after it.
        """
        began, before = len(self.proxy.writes), dict(self.pods)
        killer = Killer(self.operator, kill)
        self.proxy.hooks = killer
        silent = kill if kill is not None and kill.point == NOTHING else None
        if silent and silent.when == "before":
            killer.kill()
        step.act(self.place, self.pool)
        if silent and silent.when == "after":
            killer.kill()
        restarted = False
        deadline = time.monotonic() + patience
        while True:
            time.sleep(LOOK)
            hit = killer.hit
            if hit and not restarted:
                self.operator.start()
                restarted = True
            wrong = self._wrong(step, calm, began, before) if not hit or self._looked() else ["it has not looked yet"]
            # Judged without a kill, but killed meanwhile: by the very last write.
            judged = not wrong and killer.hit == hit
            if judged or time.monotonic() > deadline or self._lost(step, calm, began, before):
                break
        self.proxy.hooks = Hooks()
        return killer.hit, [] if judged else self._wrong(step, calm, began, before) or wrong

    def _lost(self, step: Step, calm: Seen, began: int, before: dict[str, bool]) -> bool:
        """Whether it can never end right any more, however long one waits: something was made twice, or a pod is gone."""
        made, kept, created = self._counts(began, before)
        return made > step.made or kept < step.kept or bool(created - calm.created)

    def _looked(self) -> bool:
        """Whether the operator that was started has looked at what there is."""
        if not self.place.services():
            return self.operator.leads() and self.operator.get("/readyz")[0] == 200
        return bool(self.operator.metric('fairlead_reconcile_duration_seconds_count{outcome="Done"}'))

    def _seen(self, began: int, before: dict[str, bool]) -> Seen:
        made, kept, created = self._counts(began, before)
        return Seen(self.place.picture(), tuple(self.proxy.writes[began:]), created, made, kept)

    def _counts(self, began: int, before: dict[str, bool]) -> tuple[int, int, Counter[str]]:
        """Pods made and kept, and children created, since a step began."""
        now = dict(self.pods)
        made = len(now.keys() - before.keys())
        kept = sum(before[pod] and now[pod] for pod in before)
        return made, kept, Counter(write.resource for write in self.proxy.writes[began:] if write.code == 201)

    def _wrong(self, step: Step, calm: Seen, began: int, before: dict[str, bool]) -> list[str]:
        """What is not as it was without a kill. Most looks come too early, and see that from the service alone."""
        made, kept, created = self._counts(began, before)
        wrong = [
            # Not fewer: what a late answer of the API server hides was created all the same, and the picture shows it.
            *(f"created: {count} {kind} more" for kind, count in (created - calm.created).items()),
            *([f"{made} pods were made instead of {step.made}"] if made != step.made else []),
            *([f"{kept} pods were kept instead of {step.kept}"] if kept != step.kept else []),
            *differences(self.place.services(), calm.picture["services"], "services"),
        ]
        return wrong or differences(self.place.picture(), calm.picture)


@contextlib.contextmanager
def lane(plane: ControlPlane, pool: Pool, nursery: Nursery, folder: Path, name: str) -> Iterator[Lane]:
    """One, with its operator leading. The nodes are everybody's: a name of theirs in a template would make it another one."""
    admin = pool.kubectl
    system = f"{name}-system"
    for namespace in (name, system):
        admin.new_namespace(namespace)
    for manifest in access.local_manifests(name, name, system, access.RULES + access.NETWORK_RULES):
        dataclasses.replace(admin, namespace=manifest["metadata"]["namespace"]).apply(manifest)
    folder.mkdir()
    settings = {"FAIRLEAD_WATCH_NAMESPACES": name, "FAIRLEAD_NETWORK_POLICIES": "true"}
    with (
        connect(plane.kubeconfig) as http,
        Proxy(plane.user(name), folder) as proxy,
        ForkedOperator(
            proxy.kubeconfig, folder / "operator.log", system, name, free_ports(1)[0], settings, nursery=nursery
        ) as operator,
    ):
        there = Lane(Place(http, name), pool, operator, proxy)
        with listening(plane.kubeconfig, PODS.path(name), there.note):
            deadline = time.monotonic() + PATIENCE
            while not operator.leads() or operator.get("/readyz")[0] != 200:
                assert time.monotonic() < deadline, f"it does not lead, see {operator.log}"
                time.sleep(LOOK)
            yield there
