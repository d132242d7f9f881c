"""The pod template: one engine, closed by default."""

import math
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.build.placement import placement, queue_labels
from fairlead_operator.core.build.volumes import volume_mounts, volumes
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_runtime.config import CACHE_PATH, MANAGEMENT_PORT, SERVING_PORT, TERMINATION_PATH

#: Fixed, so that caches on a claim belong to the same user in every pod.
USER: Final = 10001
#: Endpoints move while nothing changes in the pod; then the runtime still serves for 5 s, drains, and stops the engine.
PRE_STOP_SECONDS: Final = 10
LAME_DUCK_SECONDS: Final = 5
ENGINE_STOP_SECONDS: Final = 20
#: A killed or stuck engine need not drain: the kubelet waits this long instead of the whole grace period.
PROBE_GRACE_SECONDS: Final = 15
STARTUP_PERIOD_SECONDS: Final = 5


def build_pod_template(service: Resolved) -> Manifest:
    """The template with its own hash as a label: pods of this generation are told by it."""
    bare = _template(service)
    labels = {**bare["metadata"]["labels"], names.TEMPLATE_LABEL: names.digest(bare)}
    return {**bare, "metadata": {**bare["metadata"], "labels": labels}}


def template_hash(service: Resolved) -> str:
    """The label's value: a function of the rendered template alone, never of the operator's version."""
    return names.digest(_template(service))


def _template(service: Resolved) -> Manifest:
    claims_cache = service.spec.model.cache is not None
    secrets = [{"name": secret.name} for secret in service.spec.image_pull_secrets]
    groups = list(service.spec.placement.supplemental_groups)
    return {
        "metadata": {
            "labels": {**names.labels(service.name), **queue_labels(service)},
            "annotations": dict(names.POD_ANNOTATIONS),
        },
        "spec": {
            "automountServiceAccountToken": False,
            # A Service called "vllm" would inject VLLM_PORT=tcp://..., on which the engine fails.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": PRE_STOP_SECONDS
            + LAME_DUCK_SECONDS
            + service.drain_seconds
            + ENGINE_STOP_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
                # Only a cache claim is written to; chown of a model claim could take hours and is not ours to do.
                **({"fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch"} if claims_cache else {}),
                **({"supplementalGroups": groups} if groups else {}),
            },
            **({"imagePullSecrets": secrets} if secrets else {}),
            **placement(service),
            "containers": [_container(service)],
            "volumes": volumes(service),
        },
    }


def _container(service: Resolved) -> Manifest:
    return {
        "name": names.CONTAINER,
        "image": service.image,
        "imagePullPolicy": "IfNotPresent",
        "env": _env(service),
        "ports": [
            {"name": names.PORT_SERVING, "containerPort": SERVING_PORT, "protocol": "TCP"},
            {"name": names.PORT_MANAGEMENT, "containerPort": MANAGEMENT_PORT, "protocol": "TCP"},
        ],
        "resources": _resources(service),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": {
            **_probe(
                "/startupz",
                period=STARTUP_PERIOD_SECONDS,
                failures=math.ceil(service.config.start_timeout_seconds / STARTUP_PERIOD_SECONDS),
            ),
            "terminationGracePeriodSeconds": PROBE_GRACE_SECONDS,
        },
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        "livenessProbe": {
            **_probe("/livez", period=10, failures=6),
            "terminationGracePeriodSeconds": PROBE_GRACE_SECONDS,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "terminationMessagePath": TERMINATION_PATH,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": volume_mounts(service),
    }


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": names.PORT_MANAGEMENT, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _resources(service: Resolved) -> Manifest:
    """Requests, and the memory limit equal to its request: beyond it the kernel kills this container instead of a neighbour.

    No CPU limit: throttling an engine's front end stalls every stream.
    """
    disk = service.spec.resources.ephemeral_storage
    accelerators = {service.accelerator: str(service.accelerators)} if service.accelerators else {}
    return {
        "requests": {
            "cpu": service.cpu,
            "memory": service.memory,
            **({"ephemeral-storage": str(disk)} if disk is not None else {}),
            **accelerators,
        },
        "limits": {"memory": service.memory, **accelerators},
    }


def _env(service: Resolved) -> list[Manifest]:
    """Nothing in here may differ between pods of one template: it would enter the compile cache's key."""
    fixed: dict[str, str] = {
        "HOME": "/tmp",  # noqa: S108 - an emptyDir of the pod
        "TMPDIR": "/tmp",  # noqa: S108 - an emptyDir of the pod
        "USER": "fairlead",
        "XDG_CACHE_HOME": CACHE_PATH,
        "HF_HOME": f"{CACHE_PATH}/huggingface",
        "VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_PATH}/torchinductor",
        "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    }
    if not service.needs_hub:
        fixed["HF_HUB_OFFLINE"] = "1"
    elif service.hub_endpoint:
        fixed["HF_ENDPOINT"] = service.hub_endpoint
    if not service.accelerators:
        # Some GPU nodes give every container all devices unless told otherwise.
        fixed["NVIDIA_VISIBLE_DEVICES"] = "void"
    own: dict[str, Manifest] = {}
    for variable in service.spec.engine.env:
        content: dict[str, Any]
        if variable.value_from:
            reference = variable.value_from.secret_key_ref
            content = {"valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}
        else:
            content = {"value": variable.value or ""}
        own[variable.name] = {"name": variable.name, **content}
    return [{"name": name, "value": value} for name, value in fixed.items() if name not in own] + list(own.values())
