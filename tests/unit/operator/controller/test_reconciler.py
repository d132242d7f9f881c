"""What a reconcile says when the API server goes on refusing what it writes, how a user overrides the plan, and what it asks before it
takes the last pods away.

All else of it is proved in tests/api.
"""

import asyncio
import json
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import pytest

from fairlead_operator.controller import reconciler
from fairlead_operator.controller.children import Children
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.hub import Hub
from fairlead_operator.controller.kinds import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    PODS,
    SERVICES,
    Kind,
)
from fairlead_operator.controller.outcomes import ApiError, NotYetError
from fairlead_operator.controller.planner import Planner
from fairlead_operator.controller.reconciler import Reconciler, Report
from fairlead_operator.controller.refusals import LASTS, TRIES, Refusals
from fairlead_operator.controller.store import Store, place, uid
from fairlead_operator.core import names
from fairlead_operator.core.moments import rfc3339
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Defaults
from fairlead_operator.core.revisions import hash_of
from fairlead_operator.core.transitions import Event
from unit.operator.builders import DEFAULTS, NOW, ready, service
from unit.operator.controller.objects import Clock
from unit.operator.controller.test_planner import FakeCluster, FakeHub, asking

KEY = ("models", "mistral")
#: The longest wait between two tries, in seconds.
WAIT = 60.0


class Server:
    """Stands in for Cluster and Recorder: keeps what is applied, and carries out nothing that is called `refused`."""

    def __init__(self) -> None:
        self.refused = ""
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.tries = 0
        self.replica_sets: list[Manifest] = []
        self.listed = 0
        self.statuses: list[Manifest] = []
        self.told: list[Event] = []
        self._version = 100

    def _kept(self, manifest: Manifest) -> Manifest:
        self._version += 1
        metadata = {"uid": f"u{self._version}", **manifest["metadata"], "resourceVersion": str(self._version)}
        kept = {**deepcopy(manifest), "metadata": metadata}
        self.objects[kept["kind"], metadata["name"]] = kept
        return kept

    async def get(self, kind: Kind, _: str, name: str) -> Manifest | None:
        return self.objects.get((kind.name, name))

    async def list_all(self, *_: Any, **__: Any) -> list[Manifest]:
        self.listed += 1
        return self.replica_sets

    async def apply(self, manifest: Manifest, _: str | None, dry_run: str = "") -> Manifest:
        if dry_run:
            return deepcopy(manifest)
        if manifest["kind"] == self.refused:
            self.tries += 1
            said = f"failed calling webhook, after {self.tries}.5s"
            raise ApiError(500, "InternalError", said, f"apply {self.refused} mistral")
        return self._kept(manifest)

    async def delete(self, kind: Kind, manifest: Manifest) -> None:
        del self.objects[kind.name, manifest["metadata"]["name"]]

    async def apply_status(self, raw: Manifest, status: Manifest) -> Manifest:
        self.statuses.append(status)
        return self._kept({**raw, "status": status})

    async def emit(self, _: Manifest, event: Event) -> None:
        self.told.append(event)


class Beside:
    """Stands in for all that a reconcile asks besides, and that has nothing to say here."""

    def __init__(self) -> None:
        self.states, self.progress, self.plans = dict[str, Any](), dict[str, Any](), dict[str, Any]()
        self.verdict: Rejection | bool = True

    async def judge(self, *_: Any) -> Rejection | bool:
        return self.verdict

    async def gate(self, _: Any, intent: list[Manifest]) -> tuple[list[Manifest], None]:
        return intent, None

    async def ensure(self, *_: Any) -> list[str]:
        return []

    async def of(self, _: Any) -> tuple[Any, None]:
        return {}, None

    def forget(self, _: Any) -> None:
        pass


class World:
    """One service, and the operator that reconciles it."""

    def __init__(self) -> None:
        self.server, self.clock, self.store = Server(), Clock(), Store()
        self.beside: Any = Beside()
        self.reconciler = self._operator(DEFAULTS)
        self.change(generation=1)

    def _operator(self, defaults: Defaults) -> Reconciler:
        beside = self.beside
        return Reconciler(
            store=self.store,
            cluster=self.server,  # type: ignore[arg-type]
            children=Children(self.store, self.server, now=self.clock),  # type: ignore[arg-type]
            engines=beside,
            scale_down=beside,
            autoscaler=beside,
            pod_events=beside,
            accelerators=beside,
            planner=beside,
            recorder=self.server,  # type: ignore[arg-type]
            api_keys=beside,
            defaults=defaults,
            refusals=Refusals(self.clock),
            now=lambda: NOW,
        )

    def change(self, **metadata: Any) -> None:
        """The user changes the service."""
        raw = self.server.objects.get((service().raw["kind"], "mistral")) or service().raw
        self.store.observe(INFERENCE_SERVICES, self.server._kept({**raw, "metadata": {**raw["metadata"], **metadata}}))

    def ask(self, **spec: Any) -> None:
        """The user changes the spec."""
        known = self.store.get(INFERENCE_SERVICES, KEY)
        assert known is not None
        self.store.observe(INFERENCE_SERVICES, self.server._kept({**known, "spec": {**known["spec"], **spec}}))

    def restart(self, defaults: Defaults = DEFAULTS) -> None:
        """Another operator takes over."""
        self.reconciler = self._operator(defaults)

    def served(self) -> None:
        """All that is wanted was Ready with the newest revision."""
        revision = max(self.store.all(CONTROLLER_REVISIONS), key=lambda each: int(each["revision"]))
        metadata = {**revision["metadata"], "annotations": {names.SERVED: "true"}}
        self.store.observe(CONTROLLER_REVISIONS, self.server._kept({**revision, "metadata": metadata}))

    def replicas(self) -> int:
        """Of the Deployment."""
        return int(self.server.objects["Deployment", "mistral"]["spec"]["replicas"])

    async def fail(self, times: int) -> None:
        """So many tries."""
        for _ in range(times):
            with pytest.raises(ApiError):
                await self.reconciler.reconcile(KEY)
            self.clock.time += WAIT

    def conditions(self) -> dict[str, str]:
        """Of the status, STATUS/REASON by type."""
        found = self.store.get(INFERENCE_SERVICES, KEY) or {}
        return {each["type"]: f"{each['status']}/{each['reason']}" for each in found["status"]["conditions"]}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    # Nothing is watched here.
    monkeypatch.setattr(reconciler, "CATCH_UP", 0.0)
    return World()


async def lasting(world: World, kind: str = "Service") -> None:
    """It has been refused until it was told."""
    world.server.refused = kind
    await world.fail(TRIES)
    assert world.clock.time > LASTS


async def test_a_refusal_that_passes_is_told_to_nobody(world: World) -> None:
    world.server.refused = "Service"
    await world.fail(TRIES - 1)
    assert world.server.statuses == []
    world.server.refused = ""

    report = await world.reconciler.reconcile(KEY)

    assert any("Service/mistral: created" in change for change in report.changes)
    assert "WriteFailed" not in str(world.server.statuses)


async def test_a_refusal_that_lasts_is_told_once_however_often_it_is_tried(world: World) -> None:
    await lasting(world)

    await world.fail(20)

    assert world.server.tries == TRIES + 20
    (status,) = world.server.statuses
    assert status["observedGeneration"] == 1
    found = world.conditions()
    assert (found["UpToDate"], found["Ready"], found["Available"]) == ("False/WriteFailed",) * 3
    assert (found["Accepted"], found["Reconciling"]) == ("True/Valid", "True/WriteFailed")
    assert "Stalled" not in found
    (told,) = [event for event in world.server.told if event.type == "Warning"]
    assert (told.reason, "apply Service mistral" in told.note) == ("WriteFailed", True)


async def test_the_first_try_that_gets_through_clears_it(world: World) -> None:
    await lasting(world)
    world.server.refused = ""

    await world.reconciler.reconcile(KEY)

    assert ("Deployment", "mistral") in world.server.objects
    assert "False/WriteFailed" not in world.conditions().values()
    written = len(world.server.statuses)
    world.server.refused = "Service"
    gone = world.server.objects.pop(("Service", "mistral"))
    world.store.remove(SERVICES, place(gone), uid(gone))
    await world.fail(1)
    assert len(world.server.statuses) == written, "the next one has to last as long"


@pytest.mark.parametrize("restarted", [False, True], ids=["the same operator", "another operator"])
async def test_what_else_changes_is_told_meanwhile(world: World, *, restarted: bool) -> None:
    await lasting(world)
    if restarted:
        world.restart()
    world.change(generation=2)

    await world.fail(3)

    assert [status["observedGeneration"] for status in world.server.statuses] == [1, 2]
    assert world.conditions()["UpToDate"] == "False/WriteFailed"


async def test_a_spec_that_is_rejected_meanwhile_is_what_counts(world: World) -> None:
    await lasting(world)
    world.change(generation=2)
    world.ask(engine={"extraArgs": ["--api-key=x"]})

    report = await world.reconciler.reconcile(KEY)

    assert isinstance(report, Report)
    assert report.rejection is not None
    assert world.conditions()["UpToDate"] == "Unknown/NotAccepted"


async def test_an_upgrade_judges_no_service_by_an_engine_that_its_pods_do_not_run(world: World) -> None:
    world.ask(engine={"extraArgs": ["--gone"]})
    await world.reconciler.reconcile(KEY)
    world.restart(replace(DEFAULTS, engine_version="0.33"))

    world.ask(replicas=3)
    await world.reconciler.reconcile(KEY)

    assert (world.conditions()["Accepted"], world.replicas()) == ("True/Valid", 3)
    world.ask(engine={"extraArgs": ["--gone"], "seed": 1}, replicas=2)
    await world.reconciler.reconcile(KEY)
    assert (world.conditions()["Accepted"], world.replicas()) == ("False/UnknownEngineArgument", 3)


async def test_what_has_served_fits_whatever_a_plan_says_later(world: World) -> None:
    first, second = {"maxModelLen": 4096}, {"maxModelLen": 8192}
    world.ask(engine=first)
    await world.reconciler.reconcile(KEY)
    world.beside.verdict = Rejection("DoesNotFit", "on no accelerator; change it", "spec.engine.maxModelLen")

    world.ask(replicas=2)
    await world.reconciler.reconcile(KEY)
    assert (world.conditions()["Accepted"], world.replicas()) == ("False/DoesNotFit", 1), "not known to fit yet"

    world.served()
    await world.reconciler.reconcile(KEY)
    assert (world.conditions()["Accepted"], world.replicas()) == ("True/Valid", 2)

    world.ask(engine=second)
    await world.reconciler.reconcile(KEY)
    assert world.conditions()["Accepted"] == "False/DoesNotFit", "another spec is another matter"

    world.beside.verdict = True
    await world.reconciler.reconcile(KEY)
    world.beside.verdict = Rejection("DoesNotFit", "on no accelerator; change it", "spec.engine.maxModelLen")
    world.ask(engine=first, replicas=3)
    await world.reconciler.reconcile(KEY)
    assert (world.conditions()["Accepted"], world.replicas()) == ("False/DoesNotFit", 2), "and so is going back"


@pytest.mark.parametrize("code", [404, 409, 500], ids=["the service is gone", "another has its name", "trouble"])
async def test_what_failed_is_backed_off_though_the_status_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    asked: list[int] = []

    async def refuse(*_: Any) -> Manifest:
        asked.append(code)
        raise ApiError(code, "No", "no", "apply InferenceService mistral/status")

    monkeypatch.setattr(world.server, "apply_status", refuse)
    world.server.refused = "Service"

    for _ in range(TRIES + 1):
        with pytest.raises(ApiError, match="failed calling webhook"):
            await world.reconciler.reconcile(KEY)
        world.clock.time += WAIT

    assert asked


async def test_a_status_that_cannot_be_written_is_no_refusal_of_what_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> Manifest:
        raise ApiError(500, "InternalError", "no", "apply InferenceService mistral/status")

    with monkeypatch.context() as patch:
        patch.setattr(world.server, "apply_status", refuse)
        await world.fail(2 * TRIES)

    with suppress(ApiError):
        await world.reconciler.reconcile(KEY)

    assert world.conditions()["UpToDate"] == "False/RollingOut"


async def test_who_knows_better_than_the_plan_gets_pods_that_are_told_so(world: World) -> None:
    planner = Planner(cast("Cluster", FakeCluster()), cast("Hub", FakeHub()), lambda _: None)
    world.reconciler.planner = planner
    raw = world.store.get(INFERENCE_SERVICES, KEY)
    assert raw is not None
    world.server._kept({**raw, "spec": asking().raw["spec"]})
    world.change(generation=2)
    await world.reconciler.reconcile(KEY)
    await asyncio.gather(*planner._tasks)
    await world.reconciler.reconcile(KEY)
    assert world.conditions()["Accepted"] == "False/DoesNotFit"
    assert ("Deployment", "mistral") not in world.server.objects

    world.change(annotations={"fairlead.dev/skip-plan": "true"})
    await world.reconciler.reconcile(KEY)

    assert world.conditions()["Accepted"] == "True/Valid"
    template = world.server.objects["Deployment", "mistral"]["spec"]["template"]
    (mounted,) = [each["configMap"]["name"] for each in template["spec"]["volumes"] if each["name"] == "config"]
    assert json.loads(world.server.objects["ConfigMap", mounted]["data"]["config.json"])["skipPlan"] is True


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param(1, 1, id="an old pod was evicted, and another of its kind is on its way"),
        pytest.param(0, 0, id="the old pods have given way"),
    ],
)
async def test_the_last_pods_are_taken_away_only_after_a_look_at_the_replica_sets(
    world: World, kept: int, expected: int
) -> None:
    await world.reconciler.reconcile(KEY)
    made = world.server.objects["Deployment", "mistral"]
    reference = {"kind": "Deployment", "uid": uid(made), "controller": True}
    old = {"metadata": {"labels": {"fairlead.dev/template": "0123456789"}}}
    world.server.replica_sets = [
        {"metadata": {"ownerReferences": [reference]}, "spec": {"replicas": kept, "template": old}}
    ]
    failure = {
        "code": "KVCacheTooSmall",
        "message": "3072 tokens fit",
        "time": "2026-11-24T11:59:00Z",
        "pod": "mistral-0",
        "count": 5,
        "template": hash_of(made["spec"]["template"]),
        "attempt": "1",
    }
    known = world.store.get(INFERENCE_SERVICES, KEY)
    assert known is not None
    failed = {**known["status"], "lastFailure": failure}
    world.store.observe(INFERENCE_SERVICES, world.server._kept({**known, "status": failed}))

    report = await world.reconciler.reconcile(KEY)

    assert world.server.objects["Deployment", "mistral"]["spec"]["replicas"] == expected
    assert (world.conditions()["Scheduled"] == "Unknown/GivenUp") == (expected == 0)
    assert report.requeue is None
    if expected == 0:
        asked = world.server.listed
        assert (await world.reconciler.reconcile(KEY)).changes == ()
        assert world.server.listed == asked, "at rest nothing is asked"


async def test_a_spec_that_changed_while_status_was_written_is_looked_at_soon(world: World) -> None:
    """The answer to the write brings it; while watches list anew none of them may ever tell the version in between."""
    apply_status = world.server.apply_status

    async def meanwhile(raw: Manifest, status: Manifest) -> Manifest:
        return await apply_status({**raw, "metadata": {**raw["metadata"], "generation": 2}}, status)

    world.server.apply_status = meanwhile  # type: ignore[method-assign]
    assert (await world.reconciler.reconcile(KEY)).requeue == 1.0

    world.server.apply_status = apply_status  # type: ignore[method-assign]
    await world.reconciler.reconcile(KEY)
    assert world.server.statuses[-1]["observedGeneration"] == 2
    assert (await world.reconciler.reconcile(KEY)).requeue != 1.0


async def test_no_plan_keeps_accelerators_that_nobody_wants(world: World) -> None:
    await world.reconciler.reconcile(KEY)
    assert world.replicas() == 1
    world.beside.verdict = Rejection("DoesNotFit", "on no accelerator; change it", "spec.engine.maxModelLen")

    world.ask(engine={"maxModelLen": 8192}, suspend=True)
    await world.reconciler.reconcile(KEY)

    assert world.replicas() == 0


async def test_what_serves_is_scaled_while_its_model_is_read_anew(world: World) -> None:
    await world.reconciler.reconcile(KEY)
    world.served()
    world.beside.verdict = False

    world.ask(replicas=2)
    await world.reconciler.reconcile(KEY)

    assert world.replicas() == 2


async def test_pods_of_a_predecessor_are_not_its_successors(world: World) -> None:
    """Garbage collection has taken the Deployment, and not yet the pods."""
    former = ready().aged(3600).of(service())
    former["metadata"] |= {
        "resourceVersion": "5",
        "ownerReferences": [{"kind": "ReplicaSet", "uid": "r", "controller": True}],
    }
    world.store.observe(PODS, former)
    owner = {"kind": "Deployment", "uid": "of the former", "controller": True}
    world.server.replica_sets = [{"metadata": {"uid": "r", "ownerReferences": [owner]}, "spec": {"template": {}}}]
    kept = world.server._kept
    # As the API server does: ours is younger.
    world.server._kept = lambda manifest: kept(  # type: ignore[method-assign]
        {**manifest, "metadata": {"creationTimestamp": rfc3339(NOW), **manifest["metadata"]}}
    )

    for _ in range(2):
        await world.reconciler.reconcile(KEY)

    assert world.conditions()["Available"].startswith("False")
    assert world.server.statuses[-1]["replicas"] == 0
    assert "servedTemplate" not in world.server.statuses[-1]
    assert names.SERVED not in str(list(world.store.all(CONTROLLER_REVISIONS)))


async def left_behind(world: World) -> Manifest:
    """A Service of a deleted InferenceService of this name."""
    owner = names.owner("mistral", "of the former")
    return world.server._kept(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "models", "name": "mistral", "ownerReferences": [owner]},
        }
    )


async def test_what_is_left_of_a_predecessor_is_waited_for_and_then_told(world: World) -> None:
    await left_behind(world)
    for _ in range(TRIES - 1):
        with pytest.raises(NotYetError):
            await world.reconciler.reconcile(KEY)
        world.clock.time += WAIT

    told = [await world.reconciler.reconcile(KEY) for _ in range(3)]

    assert [report.requeue for report in told] == [reconciler.REFUSED_LOOK] * 3
    (status,) = world.server.statuses
    (accepted,) = [each for each in status["conditions"] if each["type"] == "Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "NameTaken")
    assert "Service mistral of the deleted InferenceService" in accepted["message"]
    del world.server.objects["Service", "mistral"]
    await world.reconciler.reconcile(KEY)
    assert world.conditions()["Accepted"] == "True/Valid"


async def test_a_deployment_that_lost_its_label_is_not_taken_for_none(world: World) -> None:
    """No watch shows it any more: decided on as if there were none, all of its pods might be somebody else's."""
    await world.reconciler.reconcile(KEY)
    made = world.server.objects["Deployment", "mistral"]
    world.store.end(DEPLOYMENTS, place(made), uid(made), 10_000)
    former = ready().aged(-60).of(service())
    owner = {"kind": "ReplicaSet", "uid": "r", "controller": True}
    former["metadata"] |= {"resourceVersion": "5", "ownerReferences": [owner]}
    world.store.observe(PODS, former)
    of_ours = {"kind": "Deployment", "uid": uid(made), "controller": True}
    world.server.replica_sets = [{"metadata": {"uid": "r", "ownerReferences": [of_ours]}, "spec": {"template": {}}}]

    await world.reconciler.reconcile(KEY)

    assert world.conditions()["Available"] == "True/Serving"
    assert world.store.get(DEPLOYMENTS, KEY) is not None
