"""How many requests may wait for the engine: what comes beyond is sent away at once, to be answered sooner elsewhere.

Counted at the door and not read from a gauge: a gauge is as old as the engine's last step, and all that arrives in between would
slip in. vLLM's own limit is not used: it came with 0.29, counts what runs as well, and knows a request only after its prompt is read.
"""

from collections.abc import Callable

from fairlead_runtime.drain import RETRY_AFTER_SECONDS
from fairlead_runtime.exchange import Exchange
from fairlead_runtime.refusals import Refusal, RefusedError


class QueueLimit:
    """runs: requests that the engine computes at a time (its max_num_seqs). waits: how many more may be inside.

    unfinished: the sequences in the engine. Among requests of one sequence the count is exact. One request may be many (several
    prompts, `n`, a batch): it is let in as one, and what it became in the engine counts for those that come after it.
    """

    def __init__(self, *, runs: int, waits: int, unfinished: Callable[[], int]) -> None:
        self._runs, self._waits = runs, waits
        self._unfinished = unfinished
        self._inside: set[Exchange] = set()

    def check(self) -> None:
        """Raises RefusedError (503) when no place is free."""
        if max(len(self._inside), self._unfinished()) >= self._runs + self._waits:
            message = (
                f"This replica is full: it runs {self._runs} requests at a time, and {self._waits} more may wait. "
                "Send it again later, or have spec.replicas or spec.serving.maxQueuedRequests raised."
            )
            raise RefusedError(Refusal(503, message, "queue_full", retry_after=RETRY_AFTER_SECONDS))

    def enter(self, exchange: Exchange) -> None:
        """Takes a place. Raises RefusedError (503) when none is free."""
        self.check()
        self._inside.add(exchange)

    def leave(self, exchange: Exchange) -> None:
        """Gives its place away; nothing happens to one that never had a place."""
        self._inside.discard(exchange)
