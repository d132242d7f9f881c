"""What conditions are said to be, in the words that their tests are written in."""

from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.names import Manifest
from unit.operator.builders import PodBuilder, ServiceBuilder, observed, record, service

KV = record("KVCacheTooSmall", "4096 tokens need 2 GiB, 1.5 GiB are there", "spec.engine.maxModelLen", "3072")
GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: 3 No preemption victims found."
KEYS = service().spec("serving", apiKeySecretRef={"name": "keys", "key": "all"})
CLAIM = service().model("pvc://models/a")


def stated(asked: ServiceBuilder, *pods: PodBuilder | Manifest, **more: object) -> dict[str, str]:
    """Every condition as STATUS/REASON, by type."""
    seen = observed(asked, *pods, **more)
    return {kind: f"{verdict.status}/{verdict.reason}" for kind, verdict in conditions(seen).items()}
