"""Connections between pods, made by this process in the pods' own networks: a pod that only waits can be any client and any server."""

import ctypes
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: Seconds, in which the kernel asks a silent address again at least once. Between pods of one node an answer takes milliseconds.
PATIENCE = 3.0
#: linux/sched.h. Python has setns() itself from 3.12 on.
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def reach(ways: Sequence[tuple[int, tuple[str, int]]]) -> list[bool]:
    """Whether a connection comes to be from the network of that process to that address, of each way; all at the same time.

    Silence is a no. A refusal is an error: nothing listens there, so that nobody could tell whether a packet came through.
    """
    with ThreadPoolExecutor(len(ways)) as threads:
        return list(threads.map(lambda way: _connects(*way), ways))


def listen(pid: int, port: int) -> socket.socket:
    """A listening socket in the network of that process; the kernel takes connections until it is closed."""

    def made() -> socket.socket:
        _enter(pid)
        return socket.create_server(("", port))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(made).result()


def _connects(pid: int, address: tuple[str, int]) -> bool:
    _enter(pid)
    try:
        socket.create_connection(address, timeout=PATIENCE).close()
    except TimeoutError:
        return False
    return True


def _enter(pid: int) -> None:
    """The calling thread's network is that of the process from here on: it must be a thread for nothing else."""
    with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
        if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
