"""Every name that more than one place must agree on: labels, ports, volumes, field managers, and how children are called."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead_operator.api.v1alpha1 import API_VERSION, GROUP, KIND
from fairlead_runtime import config

#: A Kubernetes object as JSON.
Manifest = dict[str, Any]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
SERVICE_LABEL: Final = f"{GROUP}/service"
TEMPLATE_LABEL: Final = f"{GROUP}/template"
#: On an InferenceService: any new value, by custom a release, renders its pods anew with the defaults of this release.
ADOPT_DEFAULTS: Final = f"{GROUP}/adopt-defaults"
#: On a ControllerRevision: all replicas were Ready with it at the same time.
SERVED: Final = f"{GROUP}/served"
#: On a ControllerRevision: why its pods failed, as JSON, where the former revision was restored for it.
FAILED: Final = f"{GROUP}/failed"
#: On a ControllerRevision: the commit to which its pods' moving model revision is pinned.
COMMIT: Final = f"{GROUP}/model-commit"
#: On a Deployment that replaces one by one because no room was found for one more pod: the scheduler's or the quota's words.
NO_ROOM: Final = f"{GROUP}/no-room"
#: Server-side selector of every watch on children.
CHILDREN: Final = f"{MANAGED_BY}=fairlead"
#: Annotation of an InferenceService: each new value has a service that was given up tried again.
RETRY: Final = f"{GROUP}/retry"
#: On an InferenceService, with the value true: what the plan says cannot fit is started nevertheless. The runtime names it too.
SKIP_PLAN: Final = config.SKIP_PLAN
#: Phases of a pod that runs no more, and never will.
FINISHED: Final = frozenset({"Failed", "Succeeded"})
#: Read by Kueue on a Deployment, which it copies to its pods, and on pods; https://kueue.sigs.k8s.io/docs/tasks/run/deployment/
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"

FIELD_MANAGER: Final = "fairlead"
STATUS_FIELD_MANAGER: Final = "fairlead-status"
AUTOSCALER_FIELD_MANAGER: Final = "fairlead-autoscaler"
#: The operator's Lease, in the namespace that it was installed in.
LEASE: Final = "fairlead-operator"
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
VOLUME_PINNED: Final = "pinned"
VOLUMES: Final = (
    VOLUME_CONFIG,
    VOLUME_MODEL,
    VOLUME_CACHE,
    VOLUME_TMP,
    VOLUME_SHM,
    VOLUME_API_KEYS,
    VOLUME_HUB_TOKEN,
    VOLUME_PINNED,
)
CONFIG_KEY: Final = "config.json"
#: Key within the Secret of a generated API key; one API key on each line.
API_KEYS_KEY: Final = "keys"
#: Of the operator's own pods, as the chart has them.
OPERATOR_LABELS: Final = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "operator"}
POD_ANNOTATIONS: Final = {"kubectl.kubernetes.io/default-container": CONTAINER}


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


def skips_plan(annotations: Mapping[str, str]) -> bool:
    """Whether the user knows better than the plan."""
    return annotations.get(SKIP_PLAN) == "true"


def is_controlled_by(manifest: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controlling owner is the InferenceService with this uid."""
    references = manifest.get("metadata", {}).get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)


def controller_uid(manifest: Mapping[str, Any]) -> str:
    """Of the object's controlling owner, whatever kind it is; "" for an object that nobody controls."""
    references = manifest.get("metadata", {}).get("ownerReferences") or ()
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Whether none of its containers runs or will run again."""
    return (pod.get("status") or {}).get("phase") in FINISHED


def is_active(pod: Mapping[str, Any]) -> bool:
    """Whether it is neither finished nor on its way out: what a ReplicaSet's controller counts, and may choose from."""
    return not is_finished(pod) and not pod["metadata"].get("deletionTimestamp")


def digest(value: Any) -> str:
    """Ten hex digits that differ when the value does, whatever the order of keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def config_name(name: str, content: str) -> str:
    """ConfigMaps are immutable, so each content has its own: a pod of the old revision that restarts finds its own."""
    return f"{name}-{digest(content)}"


def api_key_secret(name: str, uid: str) -> str:
    """Of the Secret with a generated API key.

    The operator may create Secrets and not read them, so it cannot ask whose a Secret is: a name that holds a hash of the
    service's uid, which nobody knows before the service exists, is no other's.
    """
    return f"{name}-api-key-{digest(uid)}"


def is_api_key_secret(pod: Manifest, secret: str) -> bool:
    """Whether the Secret that this pod mounts is the generated one of its service."""
    service = (pod["metadata"].get("labels") or {}).get(SERVICE_LABEL, "")
    return re.fullmatch(rf"{re.escape(service)}-api-key-[0-9a-f]{{10}}", secret) is not None


def url(name: str, namespace: str) -> str:
    """The OpenAI-compatible base URL inside the cluster."""
    return f"http://{name}.{namespace}.svc/v1"
