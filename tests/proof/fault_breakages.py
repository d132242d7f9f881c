"""Operators with a bug each in how they bear what goes wrong: a harness that finds none of them proves nothing.

Each function breaks the operator of the process that calls it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from fairlead_operator.controller import cluster, reconciler, workqueue
from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.children import Children
from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.freshness import Freshness
from fairlead_operator.controller.informer import Informer
from fairlead_operator.controller.kinds import Kind
from fairlead_operator.controller.outcomes import ApiError, RejectedError
from fairlead_operator.controller.pacing import Pacing
from fairlead_operator.controller.store import Listed, Store, place
from fairlead_operator.controller.workqueue import WorkQueue
from fairlead_operator.core.names import Manifest


def loses_what_failed() -> None:
    """What was refused is not tried again."""
    _swap(WorkQueue, "add_backed_off", lambda *_: 0.0)


def blames_the_user() -> None:
    """Each refusal counts as the spec's."""
    _swap(Children, "_translate", lambda _, refusal, *__: RejectedError("InvalidSpec", str(refusal), "spec"))


def asks_again_at_once() -> None:
    """Failures are tried again without a wait."""
    _swap(workqueue, "FIRST_BACKOFF", 0.0)


def hears_no_retry_after() -> None:
    """A busy server's wish is not heard."""
    _swap(TokenBucket, "pause", lambda *_: None)


def knows_no_limit() -> None:
    """The bucket never runs dry."""
    _swap(TokenBucket, "reserve", lambda _: 0.0)


def watches_without_a_pause() -> None:
    """A watch that has ended begins anew at once."""

    async def unpaced(_: Pacing, request: Any, handler: Any) -> Any:
        return await handler(request)

    _swap(Pacing, "__call__", unpaced)


def takes_a_part_for_the_whole() -> None:
    """What a listing shows that expired half-way is all there is."""

    async def listed(self: Cluster, kind: Kind, namespace: str | None) -> tuple[list[Listed], int]:
        items: list[Listed] = []
        revision = 0
        query = {"labelSelector": kind.selector} if kind.selector else {}
        try:
            async for page in self._pages(kind, namespace, vars(cluster)["_METADATA_LIST"], query):
                items.extend(map(Listed.of, page["items"] or ()))
                revision = int(page["metadata"]["resourceVersion"])
        except ApiError as failure:
            if failure.code != 410:
                raise
        return items, revision

    _swap(Cluster, "list_versions", listed)


def believes_old_news() -> None:
    """Whatever a watch tells counts, however old it is."""
    put = Store._put

    def taken(self: Store, kind: Kind, obj: Manifest) -> bool:
        self._shelves[kind].objects.pop(place(obj), None)
        self._ended.clear()
        return put(self, kind, obj)

    _swap(Store, "_put", taken)


def writes_status_each_time() -> None:
    """Status is written at each look, changed or not."""

    class Other(dict[str, Any]):
        __hash__ = None

        def __eq__(self, other: object) -> bool:
            return False

        def __ne__(self, other: object) -> bool:
            return True

    build = vars(reconciler)["build_status"]
    _swap(reconciler, "build_status", lambda *arguments: Other(build(*arguments)))


def waits_for_ever() -> None:
    """A write has no deadline."""
    _swap(cluster, "WRITE_TIMEOUT", 3600)


def misses_the_unseen() -> None:
    """What was deleted while nothing was watched stays known."""
    _swap(Freshness, "_drop", lambda *_: None)


def watches_once() -> None:
    """kopf is not started anew when it has ended."""
    watch = Informer._watch
    lives: list[Informer] = []

    async def watched(self: Informer) -> BaseException | None:
        if lives:
            await asyncio.Event().wait()
        lives.append(self)
        return await watch(self)

    _swap(Informer, "_watch", watched)


def _swap(owner: object, name: str, other: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, other)


BREAKAGES: dict[str, Callable[[], None]] = {
    function.__name__.replace("_", " "): function
    for function in (
        loses_what_failed,
        blames_the_user,
        asks_again_at_once,
        hears_no_retry_after,
        knows_no_limit,
        watches_without_a_pause,
        takes_a_part_for_the_whole,
        believes_old_news,
        writes_status_each_time,
        waits_for_ever,
        misses_the_unseen,
        watches_once,
    )
}
