"""From one thread's loop to another's: what was seen, in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead_operator.controller.kinds import Kind
from fairlead_operator.core.names import Manifest

#: Objects that are taken in before other work of the loop has its turn: some hundredths of a second. When the watches begin anew there
#: are tens of thousands, and the Lease has to be renewed meanwhile.
AT_A_TIME = 64

Tell = Callable[[Kind, Manifest], None]


@dataclass
class HandOver:
    """`put` is called in one thread; what it was given is told in `loop`. Each wake-up of that loop is a system call: one for many."""

    loop: asyncio.AbstractEventLoop
    _waiting: deque[tuple[Tell, Kind, Manifest]] = field(default_factory=deque)
    _woken: bool = False

    def put(self, tell: Tell, kind: Kind, obj: Manifest) -> None:
        """Have `tell` called. Raises RuntimeError when the loop is closed."""
        self._waiting.append((tell, kind, obj))
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        # Before the first is taken: whoever puts from here on may find it asleep again, and nothing is left lying.
        self._woken = False
        for _ in range(AT_A_TIME):
            if not self._waiting:
                return
            tell, kind, obj = self._waiting.popleft()
            tell(kind, obj)
        self._woken = True
        self.loop.call_soon(self._pass_on)
