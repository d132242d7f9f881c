"""No garbage is looked for while packages are imported: that is a quarter of the time, and of a million objects nearly all stay.

Standard library only, because spawned processes import it before anything else.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects more than there were, after which it is looked for all the same. The imports make a third of them.
FAR_OFF = 3_000_000


@contextmanager
def let_be_inside() -> Iterator[None]:
    """And what is there at the end is taken to stay: it is never looked at again."""
    usual = gc.get_threshold()
    gc.set_threshold(FAR_OFF, *usual[1:])
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*usual)
