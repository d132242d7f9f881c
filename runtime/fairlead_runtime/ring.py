"""The engine's last words: what its processes printed, kept in a bounded buffer and passed on unchanged.

Children inherit file descriptors 1 and 2, so everything of every engine process comes by here, native crashes included.
"""

import os
import threading
from collections import deque
from collections.abc import Callable

#: Enough for the tracebacks of front end, engine core and worker together.
MAX_LINES = 400
#: vLLM prints the list of all supported architectures in one line.
MAX_LINE_CHARACTERS = 4000
_CHUNK = 65_536


class LogRing:
    """The last lines of all engine processes, in the order in which they were read. Any thread may add or read.

    listener: is told each line, in the thread that adds it.
    """

    def __init__(self, listener: Callable[[str], None] | None = None) -> None:
        self._listener = listener
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        line = line[:MAX_LINE_CHARACTERS]
        with self._lock:
            self._lines.append(line)
        if self._listener:
            self._listener(line)

    def lines(self) -> list[str]:
        """Oldest first."""
        with self._lock:
            return list(self._lines)


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
