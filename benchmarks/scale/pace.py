"""Requests at an even rate, whatever each of them takes."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
#: Requests on their way at the same time; when the server is slower than the rate, no more.
AT_ONCE = 64


def paced(work: Callable[[T], object], items: Sequence[T], rate: float) -> float:
    """Do it for each item, `rate` a second; returns the seconds that took until the last was done. Raises what work raises."""
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = []
        for number, item in enumerate(items):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            running.append(pool.submit(work, item))
        for each in running:
            each.result()
    return time.monotonic() - began
