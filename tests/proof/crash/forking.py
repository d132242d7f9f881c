"""The program behind nursery.py: imports the operator once, and forks for every line that it reads.

Its argument names what to break in the operator first, if anything. A line is `{"environment": {...}, "log": PATH}`; the answer is the fork's pid. A fork has one thread, runs the operator's own `main`
and ends with this program.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from kubernetes.aio.config import kube_config

from fairlead_operator import __main__ as operator
from proof.crash import broken

PARENT_DEATH_SIGNAL = 1


def live(asked: dict[str, Any], parent: int) -> None:
    """What the fork does. parent: the pid of who forked."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before it could be told of
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    # Read when it was imported, long ago.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]
    code = 1
    try:
        code = operator.main()
    except Exception:  # noqa: BLE001 - whatever it is, this process must not go on as the one that forks
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Fork for every line, and answer with the pid."""
    if breakage := sys.argv[1]:
        broken.BREAKAGES[breakage]()
    assert threading.active_count() == 1, "a thread would not be there in a fork"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    parent = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            live(json.loads(line), parent)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
