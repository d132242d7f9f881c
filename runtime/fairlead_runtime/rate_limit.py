"""How many requests each key may send: a token bucket per key, or one for the whole port when it has no key.

Written here, because no library fits. `limits` has windows and no bucket; `throttled-py` has one that refills in whole seconds of
the wall clock; `pyrate-limiter` remembers every request and runs a thread; `aiolimiter` waits instead of refusing. None is part of
vLLM's image, where the runtime is a copied folder, and an installation there must agree with all that the engine pins.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

from fairlead_runtime.config import RateLimit
from fairlead_runtime.refusals import Refusal, RefusedError

#: More keys than one Secret holds (1 MiB). Beyond it, the bucket that was used longest ago is forgotten, which means: is full again.
MAX_BUCKETS = 65_536


class RateLimiter:
    """Each bucket holds `burst` tokens at most and gains `requests_per_second`; a request takes one. clock: seconds that never go back."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float], *, max_buckets: int = MAX_BUCKETS) -> None:
        self._rate = limit.requests_per_second
        self._burst = limit.burst or limit.requests_per_second
        self._clock = clock
        self._max_buckets = max_buckets
        #: Key -> its tokens, and when they were counted. The one used last stands last.
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, key: bytes) -> None:
        """One token of `key`. Raises RefusedError (429) with the whole seconds until there is one again."""
        now = self._clock()
        tokens, counted = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - counted) * self._rate)
        enough = tokens >= 1
        self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        if not enough:
            raise RefusedError(too_many(self._rate, self._burst, wait=math.ceil((1 - tokens) / self._rate)))


def too_many(rate: int, burst: int, *, wait: int) -> Refusal:
    """429 naming the limit in requests a second, and `wait` seconds until a token is there."""
    message = (
        f"Too many requests: {rate} a second are allowed, {burst} at once. Send it again later, "
        "or have spec.serving.rateLimit raised."
    )
    return Refusal(429, message, "rate_limit_exceeded", retry_after=wait)
