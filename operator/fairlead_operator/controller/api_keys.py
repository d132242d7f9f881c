"""Makes the Secret of `spec.serving.apiKey: Generate`, with the right to create Secrets and no other.

The operator cannot look whether the Secret is there, so it tries to create it: the API server refuses what exists, whatever is
in it. It tries when it sees a service for the first time, every few minutes, and when a pod misses the Secret. So a reconcile
never changes a key, and a deleted Secret comes back with another one. Quota and admission are asked before the name: what is refused
may well be there, so a refusal or a failure counts only where no pod can have the key.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller.cluster import Cluster
from fairlead_operator.controller.kinds import SECRETS
from fairlead_operator.controller.outcomes import ApiError, RejectedError, namespace_ends
from fairlead_operator.controller.recorder import Recorder
from fairlead_operator.core import names
from fairlead_operator.core.build.api_key import build_api_key
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.refusal import refusal
from fairlead_operator.core.rejection import refused_by_api_server
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.seen import Observed
from fairlead_operator.core.transitions import Event

#: Seconds between tries to create what is there as far as is known: how long a deleted Secret may be missed.
LOOK = 300.0
#: The same while a pod says that it is missing.
MISSED_LOOK = 5.0
#: Bytes of randomness in a key.
KEY_BYTES = 32


@dataclass
class ApiKeys:
    """`permitted`: whether there is the right to create Secrets. `random` makes a key; `now` is a monotonic clock in seconds."""

    cluster: Cluster
    recorder: Recorder
    permitted: bool = True
    random: Callable[[], str] = lambda: secrets.token_urlsafe(KEY_BYTES)
    now: Callable[[], float] = time.monotonic
    #: By Secret's namespace and name, which holds the service's uid: when it was last there for certain.
    _there: dict[tuple[str, str], float] = field(default_factory=dict)

    async def ensure(self, raw: Manifest, service: Resolved, seen: Observed) -> list[str]:
        """Returns what was written: names, never a key. Raises RejectedError, NotYetError, ApiError."""
        if service.spec.serving.api_key is None:
            return []
        name = names.api_key_secret(service.name, service.uid)
        place = (service.namespace, name)
        missed = _misses(seen, name)
        wait = MISSED_LOOK if missed else LOOK
        now = self.now()
        if now - self._there.get(place, float("-inf")) < wait:
            return []
        try:
            made = await self._create(service, name)
        except (RejectedError, ApiError):
            if missed or not _mounted(seen, name):
                raise
            made = False
        self._there = {where: at for where, at in self._there.items() if now - at < LOOK} | {place: now}
        if not made:
            return []
        note = f"a new API key is in Secret {name}, under the key {names.API_KEYS_KEY}"
        await self.recorder.emit(raw, Event("Normal", "APIKeyMade", note))
        return [f"Secret/{name}: created"]

    async def _create(self, service: Resolved, name: str) -> bool:
        """False when it is there already."""
        if not self.permitted:
            raise RejectedError(
                "InvalidSpec",
                "the operator was installed without the right to make Secrets; create one yourself and name it in "
                "spec.serving.apiKeySecretRef, or have apiKeys.generate of the chart set to true",
                "spec.serving.apiKey",
            )
        try:
            await self.cluster.create(SECRETS, service.namespace, build_api_key(service, self.random()))
        except ApiError as failure:
            if failure.code == 409:
                return False
            if ending := namespace_ends(failure):
                raise ending from failure
            if refused_by_api_server(SECRETS.name, failure.code, str(failure)):
                words = refusal(failure.request, str(failure)).words
                message = f"the API server refuses Secret {name}: {words}; allow it, or create one yourself and name it in spec.serving.apiKeySecretRef"
                raise RejectedError("InvalidSpec", message, "spec.serving.apiKey") from failure
            raise
        return True


def _misses(seen: Observed, secret: str) -> bool:
    return any(
        # One that lacks its key is deleted by its user, and then missed before the kubelet says so.
        problem.code in {"APIKeyMissing", "SecretNotFound"} and secret in problem.message
        for pod in seen.pods
        for problem in pod.problems
    )


def _mounted(seen: Observed, secret: str) -> bool:
    """Whether pods that run were made with it."""
    template = (seen.deployment or {}).get("spec", {}).get("template", {}).get("spec", {})
    return any(volume.get("secret", {}).get("secretName") == secret for volume in template.get("volumes") or ())
