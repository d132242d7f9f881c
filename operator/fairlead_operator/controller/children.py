"""Brings the children to their intent: only what differs is written, and only what is ours.

Who owns what is settled for all children before the first of them is written.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.informer import slim
from fairlead_operator.controller.kinds import CONFIG_MAPS, INFERENCE_SERVICES, REPLICA_SETS, Kind, kind_of
from fairlead_operator.controller.outcomes import ApiError, NotYetError, PredecessorError, RejectedError, namespace_ends
from fairlead_operator.controller.store import Key, Place, Store, place, uid
from fairlead_operator.core import names
from fairlead_operator.core.intent import (
    EXCLUSIVE,
    additions,
    differs,
    exclusive,
    in_the_way,
    is_another_template,
    leftovers,
)
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.prune import surplus
from fairlead_operator.core.rejection import name_taken, refused_by_api_server
from fairlead_operator.core.seen import Snapshot

#: Seconds until another look at what deletion, garbage collection or a watch is about to change.
SOON = 1.0
#: What the server refused is tried again, unchanged, after so many seconds: its policies may have changed.
REFUSED_FOR = 3600.0


@dataclass
class Children:
    """Applies and prunes, and keeps the store in step with its own writes."""

    store: Store
    cluster: Cluster
    #: By uid: the intent last applied and what the server made of it. A server that drops, rewrites or adds something would
    #: otherwise be asked again at every look.
    _settled: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: By service uid, generation and intent: what the server refused for its content, and when. Asked again much later only.
    _refused: dict[tuple[str, int, str], tuple[float, RejectedError]] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic

    async def bring_about(
        self,
        service: Manifest,
        intent: Sequence[Manifest],
        absent: Collection[tuple[Kind, Place]] = (),
        ahead: Callable[[], Awaitable[list[str]]] | None = None,
    ) -> list[str]:
        """Apply what differs, in order; returns what was written and why. Raises RejectedError, NotYetError, ApiError.

        What is `absent` was just asked for, and is not asked for again. `ahead` writes what must be there before the first
        child, once it is settled that all of them can be written.
        """
        known = [
            None
            if (kind_of(manifest["apiVersion"], manifest["kind"]), place(manifest)) in absent
            else await self._find(service, manifest)
            for manifest in intent
        ]
        if None in known:
            await self._confirm(service)
        changes = await ahead() if ahead else []
        changes += [await self._apply(service, manifest, live) for manifest, live in zip(intent, known, strict=True)]
        return [change for change in changes if change]

    async def recall(self, service: Manifest, kind: Kind, name: str) -> set[tuple[Kind, Place]]:
        """Put our child of this name into the store if it exists: somebody may have taken the label by which it is watched.

        Returns what the API server does not have: that child, or nothing.
        """
        where = (place(service)[0], name)
        if self.store.get(kind, where) is None:
            live = await self.cluster.get(kind, *where)
            if live is None:
                return {(kind, where)}
            if names.is_controlled_by(live, uid(service)):
                self.store.found(kind, slim(live))
        return set()

    async def _find(self, service: Manifest, manifest: Manifest) -> Manifest | None:
        """The live child, None when there is none yet. What the store does not show is read from the server."""
        kind = kind_of(manifest["apiVersion"], manifest["kind"])
        known = self.store.get(kind, place(manifest))
        live = known or await self.cluster.get(kind, *place(manifest))
        if live is None:
            return None
        if names.is_controlled_by(live, uid(service)):
            if known is None:
                # Whatever the watches showed of it before may have been taken out again: status must not miss it.
                self.store.found(kind, slim(live))
            return slim(live)
        if _of_predecessor(live, service):
            raise PredecessorError(
                f"{kind.name} {manifest['metadata']['name']} of the deleted InferenceService of this name is still there",
                SOON,
            )
        references = live["metadata"].get("ownerReferences") or ()
        taken = name_taken(kind.name, manifest["metadata"]["name"], references)
        raise RejectedError(taken.reason, taken.message, taken.field)

    async def _confirm(self, service: Manifest) -> None:
        """Before anything is created: the InferenceService must still exist, and be this one."""
        live = await self.cluster.get(INFERENCE_SERVICES, *place(service))
        if live is None or uid(live) != uid(service) or live["metadata"].get("deletionTimestamp"):
            self.store.remove(INFERENCE_SERVICES, place(service), uid(service))
            raise NotYetError("the InferenceService is gone, the watch has not shown it yet", SOON)

    async def _apply(self, service: Manifest, manifest: Manifest, live: Manifest | None) -> str:
        """Apply if anything differs; returns what and why, or nothing."""
        kind = kind_of(manifest["apiVersion"], manifest["kind"])
        title = f"{kind.name}/{manifest['metadata']['name']}"
        why = "created" if live is None else differs(manifest, live)
        strange = additions(manifest, live) if live is not None else []
        if why is None and not strange:
            return ""
        intended = names.digest(manifest)
        if live is not None and self._settled.get(uid(live)) == (intended, _content(live)):
            return ""
        attempt = (uid(service), service["metadata"]["generation"], intended)
        since, refused = self._refused.get(attempt, (float("-inf"), None))
        if refused is not None and self.now() - since < REFUSED_FOR:
            raise refused
        try:
            written = live
            if live is not None and (ports := in_the_way(manifest, live)):
                written = slim(await self.cluster.rewrite(kind, live, ports))
            if written is None or why is not None:
                written = await self._write(kind, manifest, written)
            if strange := additions(manifest, written):
                written = slim(await self.cluster.remove(kind, written, strange))
        except ApiError as failure:
            translated = self._translate(failure, kind, live)
            if isinstance(translated, RejectedError):
                self._remember(attempt, translated)
            raise translated from failure
        self.store.written(kind, written)
        self._settled[uid(written)] = (intended, _content(written))
        return f"{title}: {', '.join(filter(None, (why, *(f'removed {pointer}' for pointer in strange))))}"

    async def _write(self, kind: Kind, manifest: Manifest, live: Manifest | None) -> Manifest:
        """Apply it, over what is there."""
        known = uid(live) if live else None
        try:
            if live is not None and is_another_template(manifest, live) and leftovers(manifest, live):
                # What is left when ours is applied is somebody else's. It goes with the same write: from then on the template is the new
                # one, and nothing tells any more that it has to.
                applied = await self.cluster.apply(manifest, known, dry_run="All")
                if left := leftovers(manifest, applied):
                    await self.cluster.rewrite(kind, live, {"/spec": applied["spec"]}, left)
            return slim(await self.cluster.apply(manifest, known))
        except ApiError as refused:
            parts = exclusive(manifest, live) if live else {}
            if live is None or not parts or not EXCLUSIVE.search(str(refused)):
                raise
            # Somebody has set the one of two fields that is not ours, and beside it ours is refused: unless the intent has both.
            try:
                await self.cluster.rewrite(kind, live, parts)
                return slim(await self.cluster.apply(manifest, known))
            except ApiError as again:
                if EXCLUSIVE.search(str(again)):
                    raise refused from again
                raise

    def _remember(self, attempt: tuple[str, int, str], refused: RejectedError) -> None:
        now = self.now()
        self._refused = {key: entry for key, entry in self._refused.items() if now - entry[0] < REFUSED_FOR}
        self._refused[attempt] = (now, refused)

    def _translate(self, refusal: ApiError, kind: Kind, live: Manifest | None) -> Exception:
        if refusal.code == 409 and live is not None:
            self.store.remove(kind, place(live), uid(live))
            return NotYetError(f"{kind.name} changed its identity under us", SOON)
        if ending := namespace_ends(refusal):
            return ending
        rejection = refused_by_api_server(kind.name, refusal.code, str(refusal))
        return RejectedError(rejection.reason, rejection.message, rejection.field) if rejection else refusal

    async def prune(self, key: Key, snapshot: Snapshot, intent: Sequence[Manifest]) -> list[str]:
        """Delete children of ours that nothing wants any more; returns what was deleted."""
        doomed = surplus(snapshot, list(intent))
        if any(child["kind"] == CONFIG_MAPS.name for child in doomed):
            # Asked for only when a ConfigMap may have lost its last user.
            doomed = surplus(replace(snapshot, replica_sets=await self.replica_sets(key)), list(intent))
        for child in doomed:
            kind = kind_of(child["apiVersion"], child["kind"])
            await self.cluster.delete(kind, child)
            self.store.remove(kind, place(child), uid(child))
            self._settled.pop(uid(child), None)
        return [f"{child['kind']}/{child['metadata']['name']}: deleted" for child in doomed]

    async def replica_sets(self, key: Key) -> tuple[Manifest, ...]:
        """Those of the service's Deployment, read anew: they are not watched."""
        selector = ",".join(f"{name}={value}" for name, value in names.selector(key[1]).items())
        return tuple(await self.cluster.list_all(REPLICA_SETS, key[0], labelSelector=selector))

    def forget(self, gone: str) -> None:
        """The child with this uid is gone."""
        self._settled.pop(gone, None)


def _of_predecessor(live: Manifest, service: Manifest) -> bool:
    """Whether it belongs to a deleted InferenceService of the same name: garbage collection will take it."""
    references = live["metadata"].get("ownerReferences") or ()
    return any(
        reference.get("controller")
        and reference["kind"] == INFERENCE_SERVICES.name
        and reference["apiVersion"].startswith(f"{INFERENCE_SERVICES.group}/")
        and reference["name"] == service["metadata"]["name"]
        for reference in references
    )


_MOVING = frozenset({"resourceVersion", "managedFields", "generation"})


def _content(obj: Manifest) -> str:
    """A digest of all that an apply could change."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _MOVING}
    return names.digest({**obj, "metadata": metadata, "status": None})
