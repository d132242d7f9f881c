"""A token bucket: bounds what the operator may ask of the API server, whatever goes wrong inside it."""

import asyncio
import threading
import time
from collections.abc import Callable


class TokenBucket:
    """`rate` tokens per second, at most `burst` saved up. `now` is a monotonic clock in seconds. Threads may share it.

    longest_pause: seconds of silence that are kept at most, whatever the server asks for.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        now: Callable[[], float] = time.monotonic,
        *,
        longest_pause: float = float("inf"),
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._longest_pause = longest_pause
        self._now = now
        self._tokens = burst
        self._filled = now()
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take one token, in advance if need be; returns how many seconds to wait before using it."""
        with self._lock:
            self._fill()
            self._tokens -= 1.0
            return max(0.0, -self._tokens / self._rate)

    def _fill(self) -> None:
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = max(self._filled, now)

    def pause(self, seconds: float) -> None:
        """The server asked for silence (Retry-After): no token is given out before that."""
        with self._lock:
            self._fill()  # the time until now is not part of the silence
            self._tokens = min(self._tokens, -min(seconds, self._longest_pause) * self._rate)

    async def take(self) -> None:
        """Wait for the turn."""
        delay = self.reserve()
        if delay > 0:
            await asyncio.sleep(delay)
