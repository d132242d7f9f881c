"""What programs get of the caller's environment: a whole PATH, and, if they speak to the cluster, no proxy.

A proxy leads out of this machine. Downloads and builds go by it; no proxy reaches the addresses of the cluster.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

#: In lower case; each is read in upper case as well.
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPTIONS = ("NO_PROXY", "no_proxy")
#: Where ip and iptables are, and what apt-get's dpkg calls.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """PATH with the folders of root's programs, which a plain `su` leaves out."""
    there = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*there, *(folder for folder in SBIN if folder not in there)])


def whole() -> dict[str, str]:
    """For a program that may need the network."""
    return os.environ | {"PATH": search_path()}


def direct() -> dict[str, str]:
    """For a program that speaks to the cluster, or to nobody."""
    return {name: value for name, value in whole().items() if not _is_proxy(name)}


@contextmanager
def without_proxies() -> Iterator[None]:
    """The same for programs that other modules start in this block; nothing that needs a proxy may run beside it."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if _is_proxy(name)}
    try:
        yield
    finally:
        os.environ.update(taken)


def exemption(network: str) -> str | None:
    """What a shell has to be told before its programs reach `network`; None where no proxy is set, or not for that."""
    there = next((os.environ[name] for name in EXCEPTIONS if os.environ.get(name)), "")
    proxied = any(_is_proxy(name) and value for name, value in os.environ.items())
    if not proxied or there == "*" or network in there.split(","):
        return None
    exceptions = shlex.quote(",".join(filter(None, (there, network))))
    return " ".join(["export", *(f"{name}={exceptions}" for name in EXCEPTIONS)])


def _is_proxy(name: str) -> bool:
    return name.lower() in PROXIES
