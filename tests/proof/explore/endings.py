"""What is left of a service's children when everything that differs from one life to the next anyway is taken away."""

import json
from collections.abc import Sequence
from typing import Final

from api.cluster import Manifest, conditions

#: What the API server writes into the spec of a Service.
_GIVEN: Final = frozenset({"clusterIP", "clusterIPs"})
#: What the Deployment's controller counts.
_COUNTED: Final = "deployment.kubernetes.io/revision"


def ending(service: Manifest, children: Sequence[Manifest]) -> dict[str, str]:
    """By kind and name what each child is, and by type what each condition says."""
    told = {kind: f"{item['status']} {item['reason']}" for kind, item in conditions(service).items()}
    return {**{f"condition {kind}": word for kind, word in told.items()}, **essences(in_use(children))}


def essences(children: Sequence[Manifest]) -> dict[str, str]:
    """By kind and name what each child is."""
    return {f"{child['kind']} {child['metadata']['name']}": essence(child) for child in children}


def essence(child: Manifest) -> str:
    """All that its maker decides about a child."""
    metadata = child["metadata"]
    annotations = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != _COUNTED}
    if child["kind"] == "ControllerRevision":
        annotations = {}  # what was learnt of it, such as whether it ever served
    spec = {name: value for name, value in (child.get("spec") or {}).items() if name not in _GIVEN}
    owners = [owner["name"] for owner in metadata.get("ownerReferences", ())]
    whole = {
        "labels": metadata["labels"], "annotations": annotations, "owners": owners, "spec": spec, "data": child.get("data"), "immutable": child.get("immutable"),
    }  # fmt: skip
    return json.dumps(whole, sort_keys=True)


def in_use(children: Sequence[Manifest]) -> list[Manifest]:
    """Without what is kept to go back to: which former revisions there are hangs on whether they ever served."""
    newest = max((child["revision"] for child in children if child["kind"] == "ControllerRevision"), default=0)
    mounted = {name for child in children if child["kind"] == "Deployment" for name in config_maps(child)}
    return [
        child
        for child in children
        if (child["kind"] != "ControllerRevision" or child["revision"] == newest)
        and (child["kind"] != "ConfigMap" or child["metadata"]["name"] in mounted)
    ]


def config_maps(deployment: Manifest) -> set[str]:
    """Those that its pods mount."""
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    return {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}


def difference(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What only one of them has, or what differs."""
    names = sorted(one.keys() | other.keys())
    return [f"{name}: {one.get(name)} / {other.get(name)}" for name in names if one.get(name) != other.get(name)]
