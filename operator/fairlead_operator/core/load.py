"""What a pod's engine is busy with, as its /state says: the numbers that scaling rests on, and nothing else does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: What a pod says may be anybody's words; Kubernetes counts in int32.
_HIGHEST: Final = 2**31 - 1


@dataclass(frozen=True)
class Load:
    """Of one engine, at one moment."""

    #: Requests that are computed.
    running: int = 0
    #: Requests that the engine has no place for yet.
    waiting: int = 0
    #: Of the KV cache, in use by requests.
    kv_cache_percent: int = 0
    #: For how long there has been no request.
    idle_seconds: int = 0
    #: Requests that it computes at a time at most, its maxNumSeqs; 0 when it does not say.
    max_running: int = 0

    @property
    def requests(self) -> int:
        """What a stopping pod would have to finish."""
        return self.running + self.waiting

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Load | None":
        """From the body of GET /state; None before anything is served, and from a runtime that does not say."""
        numbers = body.get("inflight")
        if body.get("phase") not in {"ready", "draining"} or not isinstance(numbers, Mapping):
            return None
        most = (body.get("effective") or {}).get("engine.maxNumSeqs") or {}
        return cls(
            running=_count(numbers.get("running")),
            waiting=_count(numbers.get("waiting")),
            kv_cache_percent=_count(numbers.get("kvCacheUsagePercent")),
            idle_seconds=_count(numbers.get("idleSeconds")),
            max_running=_count(most.get("value")),
        )


def _count(value: Any) -> int:
    """From 0 to the highest. Raises ValueError, TypeError or OverflowError on what is no number."""
    return min(_HIGHEST, max(0, int(value or 0)))
