"""Every name that more than one place must agree on: labels, ports, volumes, field managers, and how children are called."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from fairlead_operator.api.v1alpha1 import API_VERSION, GROUP, KIND

#: A Kubernetes object as JSON.
Manifest = dict[str, Any]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
SERVICE_LABEL: Final = f"{GROUP}/service"
TEMPLATE_LABEL: Final = f"{GROUP}/template"
#: Server-side selector of every watch on children.
CHILDREN: Final = f"{MANAGED_BY}=fairlead"

FIELD_MANAGER: Final = "fairlead"
STATUS_FIELD_MANAGER: Final = "fairlead-status"
EVENT_CONTROLLER: Final = f"{GROUP}/operator"

CONTAINER: Final = "engine"
PORT_SERVING: Final = "http"
PORT_MANAGEMENT: Final = "management"

VOLUME_CONFIG: Final = "config"
VOLUME_MODEL: Final = "model"
VOLUME_CACHE: Final = "cache"
VOLUME_TMP: Final = "tmp"
VOLUME_SHM: Final = "shm"
VOLUME_API_KEYS: Final = "api-keys"
VOLUME_HUB_TOKEN: Final = "hub-token"  # noqa: S105 - a volume's name
CONFIG_KEY: Final = "config.json"


def selector(name: str) -> dict[str, str]:
    """The labels that pick a service's pods: never more than this, a selector cannot be changed later."""
    return {SERVICE_LABEL: name}


def labels(name: str) -> dict[str, str]:
    """The labels of every child."""
    return {
        "app.kubernetes.io/name": "inferenceservice",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "engine",
        "app.kubernetes.io/part-of": "fairlead",
        MANAGED_BY: "fairlead",
        **selector(name),
    }


def owner(name: str, uid: str) -> Manifest:
    """The owner reference by which children live and die with their InferenceService."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_controlled_by(manifest: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controlling owner is the InferenceService with this uid."""
    references = manifest.get("metadata", {}).get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)


def digest(value: Any) -> str:
    """Ten hex digits that differ when the value does, whatever the order of keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def config_name(name: str, content: str) -> str:
    """ConfigMaps are immutable, so each content has its own: a pod of the old revision that restarts finds its own."""
    return f"{name}-{digest(content)}"


def url(name: str, namespace: str) -> str:
    """The OpenAI-compatible base URL inside the cluster."""
    return f"http://{name}.{namespace}.svc/v1"
