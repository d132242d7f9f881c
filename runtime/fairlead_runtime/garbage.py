"""No garbage is looked for while packages are imported: that is a quarter of the time, and of a million objects nearly all stay.

Standard library only, because spawned processes import it before anything else.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects more than there were, after which it is looked for all the same. The imports make a third of them.
FAR_OFF = 3_000_000

_usual: list[tuple[int, int, int]] = []


def let_be() -> None:
    """None is looked for, until `look_again`."""
    if not _usual:
        _usual.append(gc.get_threshold())
        gc.set_threshold(FAR_OFF, *_usual[0][1:])


def look_again() -> None:
    """As usual."""
    if _usual:
        gc.set_threshold(*_usual.pop())


@contextmanager
def let_be_inside() -> Iterator[None]:
    """And what is there at the end is taken to stay: it is never looked at again."""
    let_be()
    try:
        yield
    finally:
        gc.freeze()
        look_again()
