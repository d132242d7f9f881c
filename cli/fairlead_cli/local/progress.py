"""How long work says where it stands: one line of text at a time, and the caller decides what a line looks like."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Called with one line, without a newline, at every step that a person would wait for; from any thread.
Progress = Callable[[str], None]
#: Seconds between two signs of life of a step.
SIGN_OF_LIFE = 10.0
#: A step that took fewer seconds than this does not say how many.
WORTH_SAYING = 1.0


def silent(_line: str) -> None:
    """The progress of a caller that has nobody to tell."""


@contextmanager
def step(what: str, progress: Progress, *, every: float = SIGN_OF_LIFE) -> Iterator[None]:
    """Say `what` begins, every so many seconds that it still goes on, and at the end how long it took."""
    progress(what)
    started = time.monotonic()
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every):
            progress(f"{what}: {time.monotonic() - started:.0f} s")

    saying = threading.Thread(target=go_on, name="sign-of-life", daemon=True)
    saying.start()
    try:
        yield
    finally:
        over.set()
        saying.join()
    seconds = time.monotonic() - started
    if seconds >= WORTH_SAYING:
        progress(f"{what}: done in {seconds:.0f} s")
