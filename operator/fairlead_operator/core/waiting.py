"""Why a container of the engine has not started: its waiting state, and what the kubelet's events say about the pod."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.seen import PodEvent, Problem

#: What a container waits for whose image cannot be had, and one that cannot be made of it.
PULL: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
    }
)
CREATE: Final = frozenset({"CreateContainerError", "RunContainerError", "StartError"})
_SECRET: Final = re.compile(r'(?i)secrets? "(?P<name>[^"]+)" not found')
_SECRET_KEY: Final = re.compile(r"couldn't find key (?P<key>\S+) in Secret \S*?/?(?P<name>[^/\s]+)$")
_NO_SUCH_KEY: Final = re.compile(r"references non-existent secret key: (?P<key>\S+)")
_VOLUME: Final = re.compile(r'for volume "(?P<volume>[^"]+)"')
_CLAIM: Final = re.compile(
    r'persistentvolumeclaim "(?P<name>[^"]+)" (not found|is being deleted|bound to non-existent)'
)
#: What the kubelet does before it pulls an image, and what it does from then on.
_BEFORE_IMAGES: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})
_FROM_IMAGES_ON: Final = frozenset({"Pulling", "Pulled", "Created", "Started"})
#: Of a sandbox: another one at each try.
_SANDBOX: Final = re.compile(r' ?"?\b[0-9a-f]{64}\b"?')
_IMAGE: Final = re.compile(r'image "(?P<name>[^"]+?)(:latest)?"')
_ADDRESS: Final = re.compile(r"https?://[^\s\"]+|\b[\w.-]+:\d{2,5}\b")
#: What registries and the network say -> reason for the model's image.
_PULL_CAUSES: Final = (
    (re.compile(r"(?i)unauthorized|authentication required|denied|\b40[13]\b"), "Unauthorized"),
    (re.compile(r"(?i)no space left"), "DiskFull"),
    (
        re.compile(
            r"(?i)connection refused|no such host|i/o timeout|timeout|network is unreachable|TLS handshake|server misbehaving"
        ),
        "HubUnreachable",
    ),
)
#: Where the general remedy of the reason would speak of a hub.
_PULL_REMEDIES: Final = {
    "Unauthorized": "set credentials for its registry in spec.imagePullSecrets",
    "HubUnreachable": "let the nodes reach its registry, or correct spec.model.uri",
    "DiskFull": "free space for images on the node, or choose another by spec.placement.nodeSelector",
}


def why_waiting(pod: Manifest, status: Mapping[str, Any], events: Sequence[PodEvent]) -> list[Problem]:
    """What keeps the container from starting; empty while nothing is known to be wrong, and once it runs."""
    name = pod["metadata"]["name"]
    state = status.get("state") or {}
    if "running" in state:
        return []
    events = [event for event in events if not _is_past(event, events)]
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in PULL:
        return [_pull_problem(pod, message, events)]
    if reason == "CreateContainerConfigError":
        return [_config_problem(pod, message, _count(events, "Failed"))]
    if reason in CREATE:
        return [_create_problem(name, message, _count(events, "Failed"))]
    return [problem for event in _newest_first(events) if (problem := _from_event(pod, event))][:1]


def _is_past(event: PodEvent, events: Sequence[PodEvent]) -> bool:
    """Whether it has succeeded since: events stay for an hour. What they tell of the same second came in the kubelet's order."""
    later = [other for other in events if other.last_seen >= event.last_seen]
    if event.reason in _BEFORE_IMAGES:
        return any(other.reason in _FROM_IMAGES_ON for other in later)
    if not _is_failed_pull(event) or not (image := _IMAGE.search(event.message)):
        return False
    pulled = [_IMAGE.search(other.message) for other in later if other.reason == "Pulled"]
    return any(other["name"] == image["name"] for other in pulled if other)


def _is_failed_pull(event: PodEvent) -> bool:
    return event.reason == "Failed" and "pull" in event.message.lower()


def _from_event(pod: Manifest, event: PodEvent) -> Problem | None:
    name = pod["metadata"]["name"]
    if event.reason in {"FailedMount", "FailedAttachVolume"}:
        return _mount_problem(pod, event)
    if event.reason == "FailedCreatePodSandBox" and "runtime" in event.message and "configured" in event.message:
        return Problem(
            "PodRejected",
            f"the node cannot run pod {name}: {event.message}",
            "spec.placement.runtimeClassName",
            time=event.last_seen,
            count=event.count,
            pod=name,
        )
    if event.reason == "FailedCreatePodSandBox":
        # No fault of the spec, most often of the node's network, so that it is neither dated nor counted.
        said = f"the node cannot set up pod {name}: {_SANDBOX.sub('', event.message)}"
        remedy = "look at the node's network plugin and container runtime; it is tried again by itself"
        return Problem("PodRejected", said, "", remedy, pod=name)
    if _is_failed_pull(event):
        return _pull_problem(pod, event.message, (event,))
    return None


def _mount_problem(pod: Manifest, event: PodEvent) -> Problem | None:
    name, text = pod["metadata"]["name"], event.message
    if "Multi-Attach error" in text:
        said = f"pod {name} waits for a volume that a pod on another node holds: {text}"
        remedy = "set spec.rollout.strategy to Replace, or use a claim that allows ReadWriteMany"
        return Problem("Unschedulable", said, "", remedy, event.last_seen, event.count, pod=name)
    match = _VOLUME.search(text)
    volume = _volume(pod, match["volume"]) if match else {}
    field = secret_field(volume.get("name", ""))
    if names.is_api_key_secret(pod, (volume.get("secret") or {}).get("secretName", "")):
        return _generated_key_problem(event, volume["secret"]["secretName"], name)
    if secret := _SECRET.search(text):
        return Problem(
            "SecretNotFound",
            f"Secret {secret['name']} does not exist, which {field} names",
            field,
            f"create the Secret, or correct {field}",
            event.last_seen,
            event.count,
            pod=name,
        )
    if key := _NO_SUCH_KEY.search(text):
        secret_name = (volume.get("secret") or {}).get("secretName", "")
        return Problem(
            "SecretNotFound",
            f"Secret {secret_name} has no key {key['key']}, which {field} names",
            field,
            f"add the key to the Secret, or correct {field}",
            event.last_seen,
            event.count,
            pod=name,
        )
    if claim := _CLAIM.search(text):
        return missing_claim(pod, claim["name"], text)
    if volume.get("persistentVolumeClaim"):
        claim_name = volume["persistentVolumeClaim"]["claimName"]
        return Problem(
            "VolumeNotFound",
            f"claim {claim_name} cannot be mounted: {text}",
            claim_field(volume["name"]),
            "make the volume mountable on the pod's node",
            event.last_seen,
            event.count,
            pod=name,
        )
    return None


def _generated_key_problem(event: PodEvent, secret: str, pod: str) -> Problem | None:
    """Not the user's to create, see controller/api_keys.py; but the operator changes no Secret that is there."""
    field = "spec.serving.apiKey"
    if _SECRET.search(event.message):
        said = f"Secret {secret}, which the operator makes for {field}, does not exist yet, or no longer"
        return Problem("APIKeyMissing", said, field, "", event.last_seen, event.count, pod=pod)
    if _NO_SUCH_KEY.search(event.message):
        said = f"Secret {secret}, which the operator made for {field}, lacks its key {names.API_KEYS_KEY}"
        remedy = "delete it, and the operator makes another"
        return Problem("SecretNotFound", said, field, remedy, event.last_seen, event.count, pod=pod)
    return None


def _config_problem(pod: Manifest, message: str, count: int) -> Problem:
    name, field = pod["metadata"]["name"], "spec.engine.env"
    if secret := _SECRET.search(message):
        return Problem(
            "SecretNotFound",
            f"Secret {secret['name']} does not exist, which {field} names",
            field,
            f"create the Secret, or correct {field}",
            count=count,
            pod=name,
        )
    if key := _SECRET_KEY.search(message):
        return Problem(
            "SecretNotFound",
            f"Secret {key['name']} has no key {key['key']}, which {field} names",
            field,
            f"add the key to the Secret, or correct {field}",
            count=count,
            pod=name,
        )
    if "subPath" in message:
        return Problem(
            "ModelNotFound",
            f"the claim has no such folder: {message}",
            "spec.model.uri",
            "correct the path in spec.model.uri",
            count=count,
            pod=name,
        )
    return Problem("UnknownFailure", f"the kubelet cannot configure the container: {message}", count=count, pod=name)


def _create_problem(name: str, message: str, count: int) -> Problem:
    if "nvidia-container-cli" in message and ("unsatisfied condition" in message or "driver" in message):
        return Problem("DriverTooOld", f"the node's driver does not fit the engine: {message}", count=count, pod=name)
    return Problem(
        "UnknownFailure",
        f"the node cannot start the container: {message}",
        "spec.image",
        "correct what the message names",
        count=count,
        pod=name,
    )


def _pull_problem(pod: Manifest, message: str, events: Sequence[PodEvent]) -> Problem:
    """Back-off is no other try: the kubelet says it at every look after the first. It tells each failed pull by an event."""
    name = pod["metadata"]["name"]
    image = next(container["image"] for container in pod["spec"]["containers"] if container["name"] == names.CONTAINER)
    model = (_volume(pod, names.VOLUME_MODEL).get("image") or {}).get("reference", "")
    pulls = [event for event in events if event.reason == "Failed"]
    text = " ".join([message, *(event.message for event in pulls)])
    # The same failure in other words is another event.
    count = max(1, sum(event.count for event in pulls if event.message.startswith("Failed to pull")))
    without_credentials = next((event for event in events if event.reason == "FailedToRetrieveImagePullSecret"), None)
    hint = f" ({without_credentials.message})" if without_credentials else ""
    if model and _mentions(text, model) and not (_mentions(text, image) and len(image) > len(model)):
        # Names, ports and digests hold any number and word: only what is said about them counts.
        said = _ADDRESS.sub("", text).replace(model, "")
        code = next((code for pattern, code in _PULL_CAUSES if pattern.search(said)), "ModelNotFound")
        field = "spec.imagePullSecrets" if code == "Unauthorized" else "spec.model.uri"
        remedy = _PULL_REMEDIES.get(code, "")
        return Problem(
            code, f"the model image {model} cannot be pulled: {message}{hint}", field, remedy, count=count, pod=name
        )
    # A registry that cannot be reached may be again, whatever the user does.
    away = _PULL_CAUSES[-1][0].search(_ADDRESS.sub("", text))
    said = f"the engine's image {image} cannot be pulled: {message}{hint}"
    return Problem("ImagePullFailed", said, count=1 if away else count, pod=name)


def _mentions(text: str, image: str) -> bool:
    """Container runtimes write the full name: docker.io/library/x:latest for x; so the name without a host counts as well."""
    return bool(image) and (image in text or f"/{image.partition(':')[0]}:" in text)


def missing_claim(pod: Manifest, claim: str, text: str) -> Problem:
    """A PersistentVolumeClaim that a volume of the pod names."""
    volumes = pod["spec"].get("volumes") or ()
    volume = next(
        (v for v in volumes if (v.get("persistentVolumeClaim") or {}).get("claimName") == claim),
        {"name": names.VOLUME_MODEL},
    )
    field = claim_field(volume["name"])
    what = "does not exist" if "not found" in text else "cannot be used"
    return Problem(
        "VolumeNotFound",
        f"PersistentVolumeClaim {claim} {what}, which {field} names",
        field,
        f"create the claim, or correct {field}",
        pod=pod["metadata"]["name"],
    )


def claim_field(volume: str) -> str:
    """The field of the spec that names the claim of this volume."""
    return "spec.model.cache.claimName" if volume == names.VOLUME_CACHE else "spec.model.uri"


def secret_field(volume: str) -> str:
    """The field of the spec that names the Secret of this volume."""
    fields = {
        names.VOLUME_API_KEYS: "spec.serving.apiKeySecretRef",
        names.VOLUME_HUB_TOKEN: "spec.model.tokenSecretRef",
    }
    return fields.get(volume, "spec.engine.env")


def _volume(pod: Manifest, name: str) -> Manifest:
    return next((volume for volume in pod["spec"].get("volumes") or () if volume["name"] == name), {})


def _count(events: Sequence[PodEvent], reason: str) -> int:
    return max((event.count for event in events if event.reason == reason), default=1)


def _newest_first(events: Sequence[PodEvent]) -> list[PodEvent]:
    return sorted(events, key=lambda event: event.last_seen, reverse=True)
