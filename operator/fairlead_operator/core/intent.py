"""Whether applying an intent would change anything: 20 resyncs of an unchanged object make no write."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from fairlead_operator.api.fields import amount
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.revisions import hash_of

#: Keys by which the API server merges lists of objects; a list whose items all carry the first of these is compared by it.
_LIST_KEYS: Final = ("name", "mountPath", "containerPort", "port", "uid", "key")
#: Maps whose values the API server rewrites canonically: 1024Mi comes back as 1Gi.
_QUANTITIES: Final = frozenset({"requests", "limits"})


def differs(intent: Manifest, live: Manifest) -> str | None:
    """The path of the first leaf of the intent that the live object does not have, or None.

    Fields that the intent leaves out are the API server's or somebody else's. A field that left the intent since the last
    apply is not noticed by itself: in the pod template the hash label changes with it, elsewhere the shape is constant.
    """
    return _first(intent, live, "")


#: Lists of a pod, and of a container of ours, in which nothing but ours may stand, with the key of their items. What somebody adds
#: there runs beside the engine or inside it.
_OF_POD: Final = (("containers", "name"), ("initContainers", "name"), ("volumes", "name"))
_OF_CONTAINER: Final = (("env", "name"), ("volumeMounts", "mountPath"))
_POD: Final = "/spec/template/spec"


def additions(intent: Manifest, live: Manifest) -> list[str]:
    """JSON pointers to what the live object's pod template has beyond the intent's, in an order in which they can be removed.

    Applying the intent does not remove it: it is another field manager's.
    """
    ours = intent["spec"].get("template") if "spec" in intent else None
    if ours is None:
        return []
    found: list[str] = []
    pod, known = live["spec"]["template"]["spec"], {item["name"]: item for item in ours["spec"]["containers"]}
    for index, container in enumerate(pod.get("containers") or ()):
        if container["name"] in known:
            found += _strangers(known[container["name"]], container, _OF_CONTAINER, f"{_POD}/containers/{index}")
    return found + _strangers(ours["spec"], pod, _OF_POD, _POD)


def _strangers(ours: Manifest, live: Manifest, lists: Sequence[tuple[str, str]], path: str) -> list[str]:
    """The last ones first: removing one moves those behind it."""
    return [
        f"{path}/{part}/{index}"
        for part, key in lists
        for known in ({item[key] for item in ours.get(part) or ()},)
        for index, item in reversed(list(enumerate(live.get(part) or ())))
        if item.get(key, "") not in known
    ]


#: Fields of a pod, and of its securityContext, that a template has only where it is asked for them.
_ASKED_FOR: Final = ("affinity", "tolerations", "priorityClassName", "runtimeClassName")
_ASKED_FOR_SECURITY: Final = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups")


def is_another_template(intent: Manifest, live: Manifest) -> bool:
    """Whether the live Deployment makes pods of another template of ours than the intent's; False for other kinds."""
    template = (intent.get("spec") or {}).get("template")
    return template is not None and hash_of(template) != hash_of(live["spec"]["template"])


def leftovers(intent: Manifest, live: Manifest) -> list[str]:
    """JSON pointers to what a former template of ours asked for and this one does not, in an order in which they can be removed.

    `kubectl rollout undo` puts back a former one whole and makes its fields kubectl's, so that an apply leaves them there. Only for
    an intent that changes the template: in one that stays, somebody's own may rightly stand there.
    """
    ours, theirs = intent["spec"]["template"]["spec"], live["spec"]["template"]["spec"]
    asked, made = intent["spec"]["template"]["metadata"], live["spec"]["template"]["metadata"]
    found = [f"{_POD}/{name}" for name in _ASKED_FOR if name in theirs and name not in ours]
    for part in ours.get("affinity") or {}:
        found += _more(ours["affinity"], theirs.get("affinity") or {}, part, f"{_POD}/affinity")
    found += _more(ours, theirs, "affinity", _POD) if "affinity" in ours else []
    found += _more(ours, theirs, "securityContext", _POD, of=_ASKED_FOR_SECURITY)
    found += _more(ours, theirs, "nodeSelector", _POD)
    found += _more(asked, made, "labels", "/spec/template/metadata", of=(names.QUEUE_LABEL,))
    known = {container["name"]: container for container in ours["containers"]}
    for index, container in enumerate(theirs["containers"]):
        if container["name"] in known:
            found += _of_container(known[container["name"]], container, f"{_POD}/containers/{index}")
    return found + _strangers(ours, theirs, (("imagePullSecrets", "name"),), _POD)


def _of_container(ours: Manifest, theirs: Manifest, path: str) -> Iterator[str]:
    asked, made = ours.get("resources") or {}, theirs.get("resources") or {}
    for part in ("limits", "requests"):
        yield from _more(asked, made, part, f"{path}/resources")
    mounts = {mount["mountPath"]: mount for mount in ours.get("volumeMounts") or ()}
    for index, mount in enumerate(theirs.get("volumeMounts") or ()):
        if "subPath" in mount and "subPath" not in mounts.get(mount["mountPath"], mount):
            yield f"{path}/volumeMounts/{index}/subPath"


def _more(ours: Manifest, theirs: Manifest, part: str, path: str, of: Collection[str] | None = None) -> list[str]:
    """JSON pointers to the keys of a map that are theirs alone; `of`: among these."""
    wanted = ours.get(part) or {}
    keys = [key for key in theirs.get(part) or {} if key not in wanted and (of is None or key in of)]
    return [f"{path}/{part}/{key.replace('~', '~0').replace('/', '~1')}" for key in keys]


#: What the API server says of fields of which only one may be set.
EXCLUSIVE: Final = re.compile(
    r"may not specify more than|may not be specified when|may not have more than one field|cannot be both set"
)


def exclusive(intent: Manifest, live: Manifest) -> dict[str, Any]:
    """JSON pointers to the parts in which fields exclude each other, with what they are to be.

    A budget has one of two numbers, a volume one source, a probe one way to ask, a variable a value or where to take it from.
    Other people's labels and annotations stay: `kubectl rollout restart` has left one.
    """
    match intent:
        case {"kind": "Deployment", "spec": {"template": template}}:
            theirs, ours = live["spec"]["template"]["metadata"], template["metadata"]
            kept = {part: {**(theirs.get(part) or {}), **(ours.get(part) or {})} for part in ("labels", "annotations")}
            if names.QUEUE_LABEL not in (ours.get("labels") or {}):
                kept["labels"].pop(names.QUEUE_LABEL, None)
            return {"/spec/template": {**template, "metadata": {**ours, **kept}}}
        case {"kind": "PodDisruptionBudget", "spec": spec}:
            return {"/spec": spec}
    return {}


def in_the_way(intent: Manifest, live: Manifest) -> dict[str, list[Manifest]]:
    """JSON pointers to lists of ports that keep the intent from being applied, each with what it has to be before.

    The API server merges ports by their number, and no two may have one name: where somebody gave a port of ours another number, it
    would add ours beside it and refuse that, as if the intent were wrong.
    """
    found: dict[str, list[Manifest]] = {}
    for pointer, ours, theirs in _ports(intent, live):
        numbers = {port["name"]: _number(port) for port in ours}
        if any(_number(port) != numbers.get(port.get("name", ""), _number(port)) for port in theirs):
            found[pointer] = ours
    return found


def _ports(intent: Manifest, live: Manifest) -> Iterator[tuple[str, list[Manifest], list[Manifest]]]:
    """Those of a Service, and those of each container of ours."""
    spec = intent.get("spec") or {}
    if intent.get("kind") == "Service":
        yield "/spec/ports", spec.get("ports") or [], live["spec"].get("ports") or []
    elif "template" in spec:
        known = {item["name"]: item.get("ports") or [] for item in spec["template"]["spec"]["containers"]}
        for index, container in enumerate(live["spec"]["template"]["spec"].get("containers") or ()):
            pointer = f"{_POD}/containers/{index}/ports"
            yield pointer, known.get(container["name"], []), container.get("ports") or []


def _number(port: Manifest) -> tuple[Any, str]:
    return port.get("port", port.get("containerPort")), port.get("protocol", "TCP")


#: What is added in there opens a port or chooses other pods, and what is taken away changes the meaning of the rest: compared whole.
_ATOMIC: Final = frozenset({"spec.ingress", "spec.podSelector", "spec.selector"})


def _first(intent: Any, live: Any, path: str) -> str | None:
    if intent == live:
        return None  # what most of most objects is
    if path in _ATOMIC:
        return path
    if isinstance(intent, dict):
        if not isinstance(live, dict):
            return path or "(object)"
        for key, value in intent.items():
            here = f"{path}.{key}" if path else str(key)
            if key not in live:
                if _is_left_out(value, key, path):
                    continue
                return here
            if path.rpartition(".")[2] in _QUANTITIES or key == "sizeLimit":
                if not _same_amount(value, live[key]):
                    return here
            elif found := _first(value, live[key], here):
                return found
        return None
    if isinstance(intent, Sequence) and not isinstance(intent, str):
        return _first_of_list(intent, live, path)
    return path


def _is_left_out(value: Any, key: str, path: str) -> bool:
    """Whether the API server stores such a value by leaving it out: the empty one of a variable or a toleration, any in an affinity,
    and that a Deployment is not paused.

    Elsewhere what is empty means something: an emptyDir, or a label without a value.
    """
    if value is False:
        return key == "paused"
    return value in ("", [], {}, None) and (".affinity" in f"{path}.{key}" or (key == "value" and path.endswith("]")))


def _first_of_list(intent: Sequence[Any], live: Any, path: str) -> str | None:
    if not isinstance(live, Sequence) or isinstance(live, str):
        return path
    key = _merge_key(intent, path)
    if key is None:
        if len(intent) != len(live):
            return path
        pairs = (
            (item, other, f"{path}[{index}]") for index, (item, other) in enumerate(zip(intent, live, strict=True))
        )
        return next((found for item, other, here in pairs if (found := _first(item, other, here))), None)
    by_key = {item.get(key): item for item in live if isinstance(item, dict)}
    for item in intent:
        here = f"{path}[{item[key]}]"
        if item[key] not in by_key:
            return here
        if found := _first(item, by_key[item[key]], here):
            return found
    return None


def _merge_key(items: Sequence[Any], path: str) -> str | None:
    if path.endswith("tolerations") or not items or not all(isinstance(item, dict) for item in items):
        return None
    # A volume may be mounted twice: mounts are told by their path.
    candidates = ("mountPath",) if path.endswith("volumeMounts") else _LIST_KEYS
    return next((key for key in candidates if all(key in item for item in items)), None)


def _same_amount(one: Any, other: Any) -> bool:
    try:
        return amount(one) == amount(other)
    except ValueError:
        return bool(one == other)
