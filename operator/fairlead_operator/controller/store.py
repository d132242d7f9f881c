"""What the cluster looked like last: the watched objects by kind, newest version each.

Not kopf's index: after an expired watch kopf lists again and never hears of what was deleted in between, and it does not
know our own writes. Here a write's response counts at once, older watch versions of it are ignored, and a comparison with
a listing (see freshness.py) drops what is gone. Belongs to one event loop; no locks.
"""

import asyncio
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Self

from fairlead_operator.controller.kinds import CHILDREN, INFERENCE_SERVICES, PODS, WATCHED, Kind
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest

#: Other groups have kinds of our name.
_GROUP = f"{INFERENCE_SERVICES.group}/"
#: Half of a pod, and never read of one: the template has it.
UNREAD = frozenset({
    "args", "command", "env", "envFrom", "lifecycle", "livenessProbe", "ports", "readinessProbe", "securityContext", "startupProbe",
    "volumeMounts",
})  # fmt: skip
#: Children that are kept read: those of the services in work, some times over.
READ = 512
#: Characters of a text that many objects may have: a reason, an image's name, a time. Longer ones are messages.
LONGEST_WORD = 64
#: Ends that are remembered: late news of what has ended comes within minutes, if at all.
REMEMBERED = 10_000
#: Namespace and name of an InferenceService.
Key = tuple[str, str]
Place = tuple[str, str]


def place(obj: Manifest) -> Place:
    """Namespace and name of an object."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def uid(obj: Manifest) -> str:
    """The identity that survives no re-creation."""
    return str(obj["metadata"]["uid"])


def version(obj: Manifest) -> int:
    """The resourceVersion as a number. It is etcd's revision and comparable within a kind (KEP-5504, stable since 1.35)."""
    return int(obj["metadata"]["resourceVersion"])


def owner(kind: Kind, obj: Manifest) -> Key | None:
    """The InferenceService that an object belongs to; None when neither a controller nor a label says so."""
    namespace, name = place(obj)
    if kind is INFERENCE_SERVICES:
        return namespace, name
    # The reference first: somebody may have taken the label away, and that must not hide the child from us.
    for reference in obj["metadata"].get("ownerReferences") or ():
        ours = reference["kind"] == INFERENCE_SERVICES.name and reference["apiVersion"].startswith(_GROUP)
        if reference.get("controller") and ours:
            return namespace, str(reference["name"])
    service = (obj["metadata"].get("labels") or {}).get(names.SERVICE_LABEL)
    return (namespace, service) if service else None


class Listed(NamedTuple):
    """What a listing says of one object: all that a comparison needs, a hundredth of its metadata."""

    where: Place
    uid: str
    version: int

    @classmethod
    def of(cls, obj: Manifest) -> Self:
        """The object's own."""
        return cls(place(obj), uid(obj), version(obj))


@dataclass(frozen=True, slots=True)
class _Kept:
    """One object. Children are kept as text, a sixth of the memory: they are many, large, and read in their service's turn only."""

    uid: str
    version: int
    service: Key | None
    content: Manifest | bytes


def _content(kind: Kind, obj: Manifest) -> Manifest | bytes:
    if kind in CHILDREN:
        return json.dumps(obj, separators=(",", ":")).encode()
    if kind is PODS and "spec" in obj:
        containers = [
            {name: value for name, value in container.items() if name not in UNREAD}
            for container in obj["spec"].get("containers") or ()
        ]
        obj = {**obj, "spec": {**obj["spec"], "containers": containers}}
    shared: Manifest = _sharing(obj)
    return shared


def _sharing(value: Any) -> Any:
    """The same with one copy of each word in the process: an object takes less than half of the memory so."""
    if isinstance(value, dict):
        return {sys.intern(key): _sharing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_sharing(item) for item in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= LONGEST_WORD else value


@dataclass
class _Shelf:
    """The objects of one kind."""

    objects: dict[Place, _Kept] = field(default_factory=dict)
    by_owner: dict[Key, set[Place]] = field(default_factory=dict)


@dataclass
class Store:
    """Objects by kind and place. `now` is a monotonic clock in seconds."""

    now: Callable[[], float] = time.monotonic
    _shelves: dict[Kind, _Shelf] = field(default_factory=lambda: {kind: _Shelf() for kind in WATCHED})
    #: Our own writes that no watch has shown yet: uid -> (resourceVersion, time of the response).
    _unseen: dict[str, tuple[int, float]] = field(default_factory=dict)
    #: What has ended: uid -> its last resourceVersion.
    _ended: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _progress: asyncio.Event = field(default_factory=asyncio.Event)
    #: When a watch showed anything last, by kind.
    shown: dict[Kind, float] = field(default_factory=dict)
    #: A reconcile reads each child several times. Nobody changes what the store gives out.
    _read: Callable[[bytes], Manifest] = field(default_factory=lambda: lru_cache(READ)(json.loads))

    def observe(self, kind: Kind, obj: Manifest) -> bool:
        """Take in a watched version; True if it is news."""
        self.shown[kind] = self.now()
        self._settle(uid(obj), version(obj))
        return self._put(kind, obj)

    def found(self, kind: Kind, obj: Manifest) -> None:
        """Take in what the API server shows when asked: whatever told its end, a watch or a listing, only missed its label."""
        self._ended.pop(uid(obj), None)
        self._settle(uid(obj), version(obj))
        self._put(kind, obj)

    def written(self, kind: Kind, obj: Manifest) -> None:
        """Take in the response of our own write: it counts before any watch shows it."""
        if self._put(kind, obj):
            self._unseen[uid(obj)] = (version(obj), self.now())

    def _put(self, kind: Kind, obj: Manifest) -> bool:
        if version(obj) <= self._ended.get(uid(obj), -1):
            return False
        shelf = self._shelves[kind]
        where = place(obj)
        known = shelf.objects.get(where)
        if known is not None and known.version >= version(obj):
            return False
        if known is not None:
            self._unlink(shelf, where, known)
        service = owner(kind, obj)
        shelf.objects[where] = _Kept(uid(obj), version(obj), service, _content(kind, obj))
        if service is not None:
            shelf.by_owner.setdefault(service, set()).add(where)
        return True

    def end(self, kind: Kind, where: Place, gone: str, at: int) -> bool:
        """Forget the object with uid `gone`, and whatever is still told of it up to resourceVersion `at`. True if it was there.

        Not for good: one that only lost the label by which it is watched ends too, and may come back.
        """
        self._ended[gone] = max(at, self._ended.pop(gone, -1))
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        return self.remove(kind, where, gone)

    def remove(self, kind: Kind, where: Place, gone: str) -> bool:
        """Forget the object with uid `gone`; a successor of the same name stays. True if it was there."""
        self._settle(gone, None)
        shelf = self._shelves[kind]
        known = shelf.objects.get(where)
        if known is None or known.uid != gone:
            return False
        self._unlink(shelf, where, known)
        del shelf.objects[where]
        return True

    @staticmethod
    def _unlink(shelf: _Shelf, where: Place, known: _Kept) -> None:
        if known.service is not None and known.service in shelf.by_owner:
            shelf.by_owner[known.service].discard(where)
            if not shelf.by_owner[known.service]:
                del shelf.by_owner[known.service]

    def _settle(self, written: str, seen: int | None) -> None:
        pending = self._unseen.get(written)
        if pending is not None and (seen is None or seen >= pending[0]):
            del self._unseen[written]
            self._progress.set()

    def get(self, kind: Kind, where: Place) -> Manifest | None:
        """The object at a place, or None. Not to be changed, like all that the store gives out."""
        known = self._shelves[kind].objects.get(where)
        return None if known is None else self._content(known)

    def version_at(self, kind: Kind, where: Place) -> int | None:
        """The resourceVersion of the object at a place, or None."""
        known = self._shelves[kind].objects.get(where)
        return None if known is None else known.version

    def has_shown(self, kind: Kind, listed: Listed) -> bool:
        """Whether what a listing showed has come: this version or a later one of the place, or this object's end."""
        known = self._shelves[kind].objects.get(listed.where)
        at = max(-1 if known is None else known.version, self._ended.get(listed.uid, -1))
        return at >= listed.version

    def _content(self, known: _Kept) -> Manifest:
        return self._read(known.content) if isinstance(known.content, bytes) else known.content

    def owned(self, kind: Kind, service: Key) -> tuple[Manifest, ...]:
        """The objects that carry the service's label, by name."""
        shelf = self._shelves[kind]
        return tuple(self._content(shelf.objects[where]) for where in sorted(shelf.by_owner.get(service, ())))

    def all(self, kind: Kind) -> Iterator[Manifest]:
        """Every object of a kind that was there at the call, one by one."""
        return (self._content(known) for known in tuple(self._shelves[kind].objects.values()))

    def versions(self, kind: Kind) -> list[tuple[Place, str, int, Key | None]]:
        """Place, uid, resourceVersion and service of every object of a kind."""
        return [
            (where, known.uid, known.version, known.service) for where, known in self._shelves[kind].objects.items()
        ]

    def count(self, kind: Kind) -> int:
        """How many objects of a kind are known."""
        return len(self._shelves[kind].objects)

    def unseen(self, kind: Kind, service: Key) -> frozenset[str]:
        """Uids of the service's objects whose last write by us no watch has shown yet."""
        shelf = self._shelves[kind]
        uids = (shelf.objects[where].uid for where in shelf.by_owner.get(service, ()))
        return frozenset(identity for identity in uids if identity in self._unseen)

    async def caught_up(self, kinds: tuple[Kind, ...], service: Key, within: float) -> bool:
        """Wait until the watches have shown our writes to these objects; False if that takes longer than `within` seconds."""
        deadline = self.now() + within
        while any(self.unseen(kind, service) for kind in kinds):
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), max(0.0, deadline - self.now()))
            except TimeoutError:
                return False
        return True
