"""One InferenceService from whatever it is to what it should be, and the truth about it in its status.

Level-based: nothing is remembered between two runs that a restart could lose. Create, update, a child's change, a pod's
failure and the periodic look all take the same way.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fairlead_operator.controller.accelerators import AcceleratorCount
from fairlead_operator.controller.api_keys import ApiKeys
from fairlead_operator.controller.autoscaler import Autoscaler
from fairlead_operator.controller.children import Children
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.engines import Engines
from fairlead_operator.controller.informer import slim
from fairlead_operator.controller.kinds import CHILDREN, CONTROLLER_REVISIONS, DEPLOYMENTS, INFERENCE_SERVICES, PODS
from fairlead_operator.controller.outcomes import ApiError, NotYetError, PredecessorError, RejectedError
from fairlead_operator.controller.planner import Planner
from fairlead_operator.controller.pod_events import PodEvents
from fairlead_operator.controller.recorder import Recorder
from fairlead_operator.controller.refusals import Refusals
from fairlead_operator.controller.scale_down import ScaleDown
from fairlead_operator.controller.store import Key, Store, uid
from fairlead_operator.core import names
from fairlead_operator.core.build import build_objects
from fairlead_operator.core.giving_up import depends_on_replica_sets, gives_up, pods_wanted
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.observe import observe
from fairlead_operator.core.predecessor import might_be_a_predecessors, without_predecessors
from fairlead_operator.core.refusal import Refusal, is_told, refusal
from fairlead_operator.core.rejection import Rejection, predecessor_kept, verdict_of
from fairlead_operator.core.resolve import Defaults, Resolved, resolve
from fairlead_operator.core.revisions import Revision, read
from fairlead_operator.core.seen import Observed, Snapshot
from fairlead_operator.core.status import build_status, is_news
from fairlead_operator.core.transitions import events

#: How long the watches may take to show our own writes before status is written on the responses alone, in seconds.
CATCH_UP = 5.0

#: Seconds between looks at what other objects stand in the way of.
REFUSED_LOOK = 10.0
#: The same for what fits no accelerator: a node with a larger one may come.
PLAN_LOOK = 60.0
#: The same while a model is read; its end wakes the service sooner.
READING_LOOK = 2.0


@dataclass(frozen=True)
class Report:
    """How a reconcile went: what it wrote and why, why the spec is refused, and when to look again in seconds."""

    changes: tuple[str, ...] = ()
    rejection: Rejection | None = None
    requeue: float | None = None
    generation: int = 0


@dataclass
class Reconciler:
    """All that is needed to reconcile any service. `now` is wall-clock time, the cluster's own measure."""

    store: Store
    cluster: Cluster
    children: Children
    engines: Engines
    scale_down: ScaleDown
    autoscaler: Autoscaler
    pod_events: PodEvents
    accelerators: AcceleratorCount
    planner: Planner
    recorder: Recorder
    api_keys: ApiKeys
    defaults: Defaults
    refusals: Refusals = field(default_factory=Refusals)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def reconcile(self, key: Key) -> Report:
        """Raises NotYetError to come back soon, anything else to be backed off."""
        service = self.store.get(INFERENCE_SERVICES, key)
        if service is None:
            self.planner.forget(key)
            self.refusals.ended(key)
            return Report()
        kept = self._kept(key, service)
        match resolve(service, self.defaults, {revision.name for revision in kept}):
            case outcome if service["metadata"].get("deletionTimestamp"):  # its children go with it, or before it
                return await self._report(key, service, outcome, [])
            case Rejection() as verdict:  # the user must act: no running pod is touched
                return await self._report(key, service, verdict, [])
            case Resolved() as resolved:
                newest = kept[-1] if kept else None
                served = newest is not None and newest.served and newest.name == resolved.revision_name
                return await self._carry_out(key, service, resolved, served=served)

    async def _carry_out(self, key: Key, service: Manifest, resolved: Resolved, *, served: bool) -> Report:
        # What has served does fit, and where no pod is wanted nothing has to.
        makes_pods = resolved.replicas > 0 and not served
        match await self.planner.judge(key, resolved, service):
            case Rejection() as verdict if makes_pods:
                report = await self._report(key, service, verdict, [])
                return replace(report, requeue=min(report.requeue or PLAN_LOOK, PLAN_LOOK))
            case False if makes_pods:  # its model is being read, for some seconds at most
                return Report(requeue=READING_LOOK, generation=service["metadata"]["generation"])
        try:
            changes, pods_are_weighed = await self._bring_about(key, service, resolved)
        except RejectedError as refused:
            return await self._refused(key, service, Rejection(refused.reason, refused.message, refused.field))
        except PredecessorError as waiting:
            kept = predecessor_kept(str(waiting))
            said = verdict_of(service).get("reason") == kept.reason
            if not said and self.refusals.failed(key, uid(service), Refusal("", str(waiting)), known=False) is None:
                raise
            return await self._refused(key, service, kept)
        except ApiError as failure:
            # A status that cannot be written either is tried again with it, and takes nothing from what is to be backed off.
            with suppress(ApiError, NotYetError):
                await self._tell(key, service, resolved, failure)
            raise
        await self.store.caught_up(CHILDREN, key, CATCH_UP)
        report = await self._report(key, service, resolved, changes)
        return report if pods_are_weighed is None else replace(report, requeue=pods_are_weighed)

    async def _refused(self, key: Key, service: Manifest, verdict: Rejection) -> Report:
        """It hangs on other objects too: a name may become free without any event that we watch."""
        report = await self._report(key, service, verdict, [])
        return replace(report, requeue=min(report.requeue or REFUSED_LOOK, REFUSED_LOOK))

    async def _bring_about(self, key: Key, service: Manifest, resolved: Resolved) -> tuple[list[str], float | None]:
        """All writes but the status: what they were, and when to come back for the rest of them."""
        # What was rendered once is never rendered again, even if no watch shows it.
        absent = await self.children.recall(service, CONTROLLER_REVISIONS, resolved.revision_name)
        # Nor is a Deployment decided on as if there were none.
        absent |= await self.children.recall(service, DEPLOYMENTS, resolved.name)
        snapshot = self._snapshot(key, service)
        late, _ = await self.pod_events.of(snapshot.pods)
        free, _ = await self.accelerators.of(snapshot.pods)
        seen = await self._observe(key, service, replace(snapshot, events=late, accelerators=free), resolved)
        assert seen.rollout is not None
        objects = build_objects(pods_wanted(resolved, seen), seen.rollout)
        intent, pods_are_weighed = await self.scale_down.gate(key, objects)
        changes = await self.children.bring_about(
            service, intent, absent, lambda: self.api_keys.ensure(service, resolved, seen)
        )
        changes += await self.children.prune(key, self._snapshot(key, service), intent)
        return changes, pods_are_weighed

    async def _observe(
        self, key: Key, service: Manifest, snapshot: Snapshot, outcome: Resolved | Rejection
    ) -> Observed:
        """What is the case, with a look at the ReplicaSets where they tell whose pods there are, or decide whether any is kept."""
        if might_be_a_predecessors(snapshot):
            await self.children.recall(service, DEPLOYMENTS, key[1])
            snapshot = replace(snapshot, children=self._snapshot(key, service).children)
            snapshot = without_predecessors(snapshot, await self.children.replica_sets(key))
        seen = observe(snapshot, outcome)
        if not depends_on_replica_sets(seen):
            return seen
        return observe(replace(snapshot, replica_sets=await self.children.replica_sets(key)), outcome)

    async def _tell(self, key: Key, service: Manifest, resolved: Resolved, failure: ApiError) -> None:
        """What goes on failing is said in the status; a failure that passes stands in the log only."""
        found = refusal(failure.request, str(failure))
        lasting = self.refusals.failed(key, uid(service), found, known=is_told(service))
        if lasting is not None:
            await self._report(key, service, resolved, [], lasting)

    def _kept(self, key: Key, service: Manifest) -> tuple[Revision, ...]:
        """What was rendered for this service, oldest first."""
        revisions = self.store.owned(CONTROLLER_REVISIONS, key)
        return read(child for child in revisions if names.is_controlled_by(child, uid(service)))

    def _snapshot(self, key: Key, service: Manifest) -> Snapshot:
        owned = (child for kind in CHILDREN for child in self.store.owned(kind, key))
        scaling = self.autoscaler.progress.get(key)
        return Snapshot(
            service=service,
            children=tuple(child for child in owned if names.is_controlled_by(child, uid(service))),
            pods=self.store.owned(PODS, key),
            now=self.now(),
            engine_states=self.engines.states,
            scaling=scaling if scaling and scaling.of == uid(service) else None,
            planned=self.planner.plans.get(key),
        )

    async def _report(
        self,
        key: Key,
        service: Manifest,
        outcome: Resolved | Rejection,
        changes: list[str],
        lasting: Refusal | None = None,
    ) -> Report:
        """Say what is true now, if that is news. `lasting` is what the API server keeps refusing; without it nothing does any longer."""
        if lasting is None:
            self.refusals.ended(key)
        snapshot = replace(self._snapshot(key, service), refusal=lasting)
        late, look_again = await self.pod_events.of(snapshot.pods)
        free, count_again = await self.accelerators.of(snapshot.pods)
        snapshot = replace(snapshot, events=late, accelerators=free)
        seen = await self._observe(key, service, snapshot, outcome)
        previous = service.get("status") or {}
        status = build_status(snapshot, outcome, seen)
        overtaken = False
        if is_news(status, previous):
            overtaken = await self._write_status(service, status)
            changes = [*changes, "status"]
            for event in events(previous, status):
                await self.recorder.emit(service, event)
        return Report(
            changes=tuple(changes),
            rejection=seen.rejection,
            requeue=self._until(
                seen.recheck_at,
                look_again,
                count_again,
                self.now() if overtaken or gives_up(service, status, seen) else None,
            ),
            generation=service["metadata"]["generation"],
        )

    async def _write_status(self, service: Manifest, status: Manifest) -> bool:
        """Whether the spec is another by now: the answer brings it into the store, and no watch may have to show it any more."""
        try:
            written = await self.cluster.apply_status(service, status)
        except ApiError as refusal:
            if refusal.code in {404, 409}:
                raise NotYetError("the InferenceService is gone, the watch has not shown it yet", 1.0) from refusal
            raise
        self.store.written(INFERENCE_SERVICES, slim(written))
        return bool(written["metadata"].get("generation") != service["metadata"].get("generation"))

    def _until(self, *moments: datetime | None) -> float | None:
        """Seconds to the earliest moment, at least one."""
        waits = [(moment - self.now()).total_seconds() for moment in moments if moment is not None]
        return max(1.0, min(waits)) if waits else None
