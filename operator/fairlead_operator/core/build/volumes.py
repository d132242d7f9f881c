"""What is mounted into the engine's container, and where from."""

from typing import Final

from fairlead_operator.core import names
from fairlead_operator.core.build.config import config_map_name
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.source import SourceKind
from fairlead_runtime.config import API_KEYS_PATH, CACHE_PATH, CONFIG_PATH, HUB_TOKEN_PATH, MODEL_PATH, PINNED_PATH

#: Shared memory. Engine core and workers have rings of 160 MiB, and 240 MiB for each worker (vLLM's shm_broadcast.py), and NCCL has buffers there
#: where GPUs cannot reach each other. Only what is used counts, against the memory limit.
SHM_GIB_BASE: Final = 1
SHM_GIB_PER_ACCELERATOR: Final = 1


def volumes(service: Resolved) -> list[Manifest]:
    """Missing Secrets and claims are not optional: the pod waits, its events say for what, and the conditions repeat it."""
    cache, keys, token = (
        service.spec.model.cache,
        service.api_keys,
        service.spec.model.token_secret_ref,
    )
    shm = f"{SHM_GIB_BASE + SHM_GIB_PER_ACCELERATOR * service.accelerators}Gi"
    found = [
        {"name": names.VOLUME_CONFIG, "configMap": {"name": config_map_name(service)}},
        {"name": names.VOLUME_TMP, "emptyDir": {}},
        {"name": names.VOLUME_SHM, "emptyDir": {"medium": "Memory", "sizeLimit": shm}},
        {
            "name": names.VOLUME_CACHE,
            **({"persistentVolumeClaim": {"claimName": cache.claim_name}} if cache else {"emptyDir": {}}),
        },
    ]
    match service.source.kind:
        case SourceKind.IMAGE:
            image = {"reference": service.source.reference, "pullPolicy": "IfNotPresent"}
            found.append({"name": names.VOLUME_MODEL, "image": image})
        case SourceKind.CLAIM:
            claim = {"claimName": service.source.reference, "readOnly": True}
            found.append({"name": names.VOLUME_MODEL, "persistentVolumeClaim": claim})
        case SourceKind.HUB:
            pass
    if keys:
        found.append(_secret(names.VOLUME_API_KEYS, keys.name, keys.key, API_KEYS_PATH))
    if token:
        found.append(_secret(names.VOLUME_HUB_TOKEN, token.name, token.key, HUB_TOKEN_PATH))
    if service.moves:
        # The first pods find none and resolve the revision themselves; what they found is there for those that come later.
        found.append({"name": names.VOLUME_PINNED, "configMap": {"name": service.revision_name, "optional": True}})
    return found


def volume_mounts(service: Resolved) -> list[Manifest]:
    """Everything read-only but the scratch folders."""
    mounts: list[Manifest] = [
        {"name": names.VOLUME_CONFIG, "mountPath": _folder(CONFIG_PATH), "readOnly": True},
        {"name": names.VOLUME_TMP, "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod
        {"name": names.VOLUME_SHM, "mountPath": "/dev/shm"},  # noqa: S108 - an emptyDir of the pod
        {"name": names.VOLUME_CACHE, "mountPath": CACHE_PATH},
    ]
    if service.source.kind is not SourceKind.HUB:
        path = {"subPath": service.source.path} if service.source.path else {}
        mounts.append({"name": names.VOLUME_MODEL, "mountPath": MODEL_PATH, "readOnly": True, **path})
    if service.api_keys:
        mounts.append({"name": names.VOLUME_API_KEYS, "mountPath": _folder(API_KEYS_PATH), "readOnly": True})
    if service.spec.model.token_secret_ref:
        mounts.append({"name": names.VOLUME_HUB_TOKEN, "mountPath": _folder(HUB_TOKEN_PATH), "readOnly": True})
    if service.moves:
        mounts.append({"name": names.VOLUME_PINNED, "mountPath": _folder(PINNED_PATH), "readOnly": True})
    return mounts


def _secret(volume: str, secret: str, key: str, path: str) -> Manifest:
    """One key as one file. 0444: without fsGroup the files belong to root, and the engine runs as another user."""
    item = {"key": key, "path": path.rpartition("/")[2]}
    return {"name": volume, "secret": {"secretName": secret, "items": [item], "defaultMode": 0o444, "optional": False}}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
