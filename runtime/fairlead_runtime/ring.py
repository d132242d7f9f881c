"""The engine's last words: what its processes printed, kept in a bounded buffer and passed on unchanged.

Children inherit file descriptors 1 and 2, so everything of every engine process comes by here, native crashes included.
"""

import heapq
import os
import threading
from collections import deque
from collections.abc import Callable

from fairlead_runtime.diagnosis import CHATTER

#: Of the front end, and as many of all others: enough for the tracebacks of engine core and workers together.
MAX_LINES = 400
#: The front end repeats what the engine ended with, in a traceback for every stream; it must not push out who said it first.
_FRONT_END = "(APIServer "
#: vLLM prints the list of all supported architectures in one line.
MAX_LINE_CHARACTERS = 4000
_CHUNK = 65_536


class LogRing:
    """The last lines of all engine processes that may name a cause, in the order in which they were read. Any thread may add or read.

    listener: is told every line, in the thread that adds it.
    """

    def __init__(self, listener: Callable[[str], None] | None = None) -> None:
        self._listener = listener
        self._front_end: deque[tuple[int, str]] = deque(maxlen=MAX_LINES)
        self._others: deque[tuple[int, str]] = deque(maxlen=MAX_LINES)
        self._added = 0
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        line = line[:MAX_LINE_CHARACTERS]
        # An access log of a few seconds would push out the last words of an engine.
        if not CHATTER.match(line):
            with self._lock:
                self._added += 1
                (self._front_end if line.startswith(_FRONT_END) else self._others).append((self._added, line))
        if self._listener:
            self._listener(line)

    def lines(self) -> list[str]:
        """Oldest first."""
        with self._lock:
            return [line for _, line in heapq.merge(self._front_end, self._others)]

    def lines_of_others(self) -> list[str]:
        """Of all but the front end, which logs what clients send; oldest first."""
        with self._lock:
            return [line for _, line in self._others]

    def forget(self) -> None:
        """What was said until now is no cause of what comes."""
        with self._lock:
            self._front_end.clear()
            self._others.clear()


class Tee(threading.Thread):
    """Passes `source` on to `target` byte by byte as it comes, and its lines into the ring, until the last writer closes it."""

    def __init__(self, source: int, target: int, ring: LogRing) -> None:
        super().__init__(name=f"tee-{target}", daemon=True)
        self._source, self._target, self._ring = source, target, ring

    def run(self) -> None:
        rest = b""
        while chunk := os.read(self._source, _CHUNK):
            _write(self._target, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._ring.add(line.decode(errors="replace").rstrip("\r"))
            if len(rest) > MAX_LINE_CHARACTERS:
                self._ring.add(rest.decode(errors="replace"))
                rest = b""
        if rest:
            self._ring.add(rest.decode(errors="replace"))
        os.close(self._source)


def _write(target: int, chunk: bytes) -> None:
    """All of `chunk`. Whoever reads our output may be gone; the engine must not block or die of that."""
    try:
        while chunk:
            chunk = chunk[os.write(target, chunk) :]
    except OSError:
        return
