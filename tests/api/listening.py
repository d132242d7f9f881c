"""A watch beside the tests, in a thread that has the connection for itself and ends before anybody closes it.

A socket that is closed under a thread which reads from it leaves that thread with a number, and the next pipe that gets the number
loses to it what it carries.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from api.client import connect
from api.cluster import Manifest

#: Seconds after which the server ends a watch, so that the thread can see that it is over; the next one goes on where it ended.
TURN = 2


@contextlib.contextmanager
def listening(kubeconfig: Path, path: str, note: Callable[[str, Manifest], None]) -> Iterator[None]:
    """`note` is given the type and the object of every event of the collection at `path` from now on.

    Raises what went wrong in the thread, at the end.
    """
    over = threading.Event()
    wrong: list[Exception] = []
    with connect(kubeconfig) as http:
        since = http.get(path, params={"limit": 1}).raise_for_status().json()["metadata"]["resourceVersion"]

        def listen() -> None:
            version = since
            while not over.is_set():
                asked = {
                    "watch": "1",
                    "resourceVersion": version,
                    "timeoutSeconds": str(TURN),
                    "allowWatchBookmarks": "1",
                }
                with http.stream("GET", path, params=asked) as answer:
                    answer.raise_for_status()
                    for line in answer.iter_lines():
                        event = json.loads(line)
                        assert event["type"] != "ERROR", f"the watch of {path} ended: {event['object']}"
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            note(event["type"], event["object"])

        def listen_or_say() -> None:
            try:
                listen()
            except Exception as failure:  # noqa: BLE001 - raised where somebody sees it
                wrong.append(failure)

        thread = threading.Thread(target=listen_or_say)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    if wrong:
        raise wrong[0]
